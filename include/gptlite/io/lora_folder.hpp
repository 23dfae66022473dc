#pragma once
// LoRA adapters from and to the folders of Hugging Face's PEFT: adapter_config.json and adapter_model.safetensors.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gptlite/autograd/ops/layout.hpp"
#include "gptlite/core/text_file.hpp"
#include "gptlite/io/gpt_folder.hpp"
#include "gptlite/io/peft_config.hpp"
#include "gptlite/nn/lora.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

namespace detail {

/// A parameter of a model as PEFT names and stores it.
template <class Parameter>
struct PeftTensor {
  std::string name;    // "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight"
  std::string module;  // "transformer.h.0.attn.c_attn"
  Parameter* tensor;   // Tensor<T>, const if the model is
  bool adapter;
  bool transposed;  // in the file, relative to the model
};

/// Name of a layer or parameter in PEFT. A GPT is the member "transformer" of transformers' models; any other module
/// keeps its names.
template <class Module>
std::string peft_name(const Module& module, const std::string& name) {
  using T = typename Module::value_type;
  const std::string transformer = "transformer.";
  if constexpr (std::is_same_v<Module, GPT<T>>) return transformers_name(name, module.config.norm_order);
  if constexpr (requires { transformers_name(name, module.backbone.config.norm_order); })
    if (name.starts_with(transformer))
      return transformers_name(name.substr(transformer.size()), module.backbone.config.norm_order);
  return name;
}

/// All parameters of a model. Matrices inside "transformer." are stored as here, (in, out). A Linear elsewhere is
/// stored as torch's, (out, in), and so are all adapters.
template <class Module>
auto peft_tensors(Module& module) {
  using T = typename Module::value_type;
  using Parameter = std::conditional_t<std::is_const_v<Module>, const Tensor<T>, Tensor<T>>;
  std::set<std::string> adapters, weights;
  for (const auto& [name, layer] : gptlite::detail::linear_layers(module)) {
    adapters.insert({name + ".lora_A", name + ".lora_B"});
    weights.insert(name + ".weight");
  }
  std::vector<PeftTensor<Parameter>> tensors;
  visit_parameters(module, [&](const std::string& parameter, Parameter& tensor) {
    const std::string name = peft_name(module, parameter);
    const bool adapter = adapters.contains(parameter);
    const bool outside = weights.contains(parameter) && !name.starts_with("transformer.");
    tensors.push_back({.name = std::string("base_model.model.").append(name).append(adapter ? ".weight" : ""),
                       .module = name.substr(0, name.rfind('.')),
                       .tensor = &tensor,
                       .adapter = adapter,
                       .transposed = adapter || outside});
  });
  return tensors;
}

/// Name of the output head in PEFT, and of the token embedding that it is if they are tied, else empty. For PEFT the
/// head is a module of its own all the same: where the embedding is stored whole, the head is too.
inline constexpr const char* peft_head = "base_model.model.lm_head.weight";
template <class Module>
std::string peft_embedding(const Module& module) {
  if constexpr (!std::is_same_v<Module, GPT<typename Module::value_type>>)
    return {};
  else if (!module.config.tie_word_embeddings)
    return {};
  return "base_model.model." + peft_name(module, "wte.weight");
}

/// PEFT's lora_alpha of an adapter, scale * r: a whole number where it gives the scale bit for bit.
template <class T>
nlohmann::ordered_json peft_alpha(const LowRank<T>& adapter) {
  const auto rank = static_cast<double>(adapter.A.shape()[1]);
  const double alpha = adapter.scale * rank, whole = std::round(alpha);
  if (whole / rank == adapter.scale && std::abs(whole) < 1e9) return static_cast<Index>(whole);
  return alpha;
}

/// The shortest names that mean the Linear layers with adapters and no other Linear layer.
template <class Module>
std::vector<std::string> target_modules(const Module& module) {
  std::vector<std::string> with, without;
  for (const auto& [name, layer] : gptlite::detail::linear_layers(module))
    (layer->lora.defined() ? with : without).push_back(peft_name(module, name));
  std::set<std::string> targets;
  for (const std::string& name : with) {
    std::size_t dot = name.size();
    std::string target;
    do {
      dot = dot == 0 ? std::string::npos : name.rfind('.', dot - 1);
      target = dot == std::string::npos ? name : name.substr(dot + 1);
    } while (dot != std::string::npos && std::any_of(without.begin(), without.end(), [&](const std::string& other) {
               return is_called(other, target);
             }));
    targets.insert(target);
  }
  return {targets.begin(), targets.end()};
}

}  // namespace detail

/// Writes the adapters of a model as PEFT does: adapter_config.json and adapter_model.safetensors, each replaced whole
/// or not at all. The folder is made if it is not there. Other modules that train are stored whole, as PEFT's
/// modules_to_save; so are modules outside the GPT, such as the head of a TaskModel, that have no adapters. PEFT opens
/// the folder on top of the same model in transformers.
/// Several ranks and scales go into rank_pattern and alpha_pattern.
/// model: a GPT or a TaskModel; or a struct with visit() and value_type whose member `backbone` is a GPT, visited as
/// "transformer", and whose other members have transformers' names. Throws ConfigError for a model without adapters or
/// with a layer that has adapters and trains itself too; IoError if a file cannot be written.
template <class Module>
void save_lora(const std::string& folder, const Module& model) {
  using T = typename Module::value_type;
  constexpr auto where = "save_lora";
  const Linear<T>* first = nullptr;
  nlohmann::ordered_json rank_pattern = nlohmann::ordered_json::object(), alpha_pattern = rank_pattern;
  for (const auto& [name, layer] : gptlite::detail::linear_layers(model)) {
    if (!layer->lora.defined()) continue;
    if (first == nullptr) first = layer;
    const std::string module = detail::peft_name(model, name);
    const Index rank = layer->lora.A.shape()[1], usual = first->lora.A.shape()[1];
    if (rank != usual) rank_pattern[module] = rank;
    if (detail::peft_alpha(layer->lora) != detail::peft_alpha(first->lora))
      alpha_pattern[module] = detail::peft_alpha(layer->lora);
  }
  check<ConfigError>(first != nullptr, where, "the model has no adapters: call add_lora(model) first");

  const std::vector<detail::PeftTensor<const Tensor<T>>> all = detail::peft_tensors(model);
  std::set<std::string> adapted, saved;  // modules
  for (const detail::PeftTensor<const Tensor<T>>& each : all)
    if (each.adapter) adapted.insert(each.module);
  for (const detail::PeftTensor<const Tensor<T>>& each : all) {
    const bool beside = !each.module.starts_with("transformer.") && !adapted.contains(each.module);
    if (!each.adapter && (beside || each.tensor->requires_grad())) saved.insert(each.module);
  }
  for (const std::string& module : saved)
    check<ConfigError>(!adapted.contains(module), where, module,
                       " has adapters and trains itself; a folder of PEFT has one or the other: freeze its weight and "
                       "bias, or call merge_lora(model) and save the model");
  NamedTensors tensors;
  const NoGrad no_grad;
  for (const detail::PeftTensor<const Tensor<T>>& each : all)
    if (each.adapter || saved.contains(each.module))
      tensors.emplace(each.name, each.transposed ? transpose(*each.tensor, 0, 1) : each.tensor->detach());
  if (const auto embedding = tensors.find(detail::peft_embedding(model)); embedding != tensors.end()) {
    tensors.emplace(detail::peft_head, embedding->second);
    saved.insert("lm_head");
  }
  const nlohmann::ordered_json task = std::is_same_v<Module, GPT<T>> ? nlohmann::ordered_json("CAUSAL_LM")
                                      : saved.contains("score")      ? nlohmann::ordered_json("SEQ_CLS")
                                                                     : nlohmann::ordered_json();
  const nlohmann::ordered_json config = {
      {"peft_type", "LORA"},
      {"task_type", task},
      {"base_model_name_or_path", nullptr},
      {"r", first->lora.A.shape()[1]},
      {"lora_alpha", detail::peft_alpha(first->lora)},
      {"lora_dropout", 0.0},
      {"target_modules", detail::target_modules(model)},
      {"modules_to_save", saved.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(saved)},
      {"fan_in_fan_out", true},
      {"bias", "none"},
      {"use_dora", false},
      {"use_rslora", false},
      {"rank_pattern", rank_pattern},
      {"alpha_pattern", alpha_pattern},
      {"init_lora_weights", true},
      {"inference_mode", true}};
  FolderUpdate update(folder, {"adapter_model.safetensors", "adapter_config.json"});
  save_safetensors(update.staging() + "/adapter_model.safetensors", tensors, {{"format", "pt"}});
  write_text(update.staging() + "/adapter_config.json", config.dump(2) + "\n");
  update.commit();
}

/// Loads the adapters in a folder of PEFT into a model, and the parameters stored whole beside them, which copies of
/// the model share. Numbers of any float format are converted. The loaded parameters train and all others are frozen,
/// as after add_lora; merge_lora makes the model as fast as before. PEFT's dropout of adapters is ignored. Where the
/// file holds a new token embedding alone, or a new output head alone, the model's output head becomes a matrix of its
/// own (GPT::untie), as in PEFT. model: as for save_lora, without adapters. Throws ConfigError if it has some;
/// DataError, with the path, for a file that is missing or malformed, for a kind of adapter that Linear does not have,
/// such as DoRA, and, all in one message, for every tensor that is missing, unknown or of another shape. The model is
/// then unchanged.
template <class Module>
void load_lora(const std::string& folder, Module& model) {
  using T = typename Module::value_type;
  constexpr auto where = "load_lora";
  check<ConfigError>(!has_lora(model), where, "the model has adapters already: call merge_lora(model) first");
  const detail::PeftConfig config(folder + "/adapter_config.json");
  const std::string path = folder + "/adapter_model.safetensors";
  check<DataError>(path_exists(path) || !path_exists(folder + "/adapter_model.bin"), where, folder,
                   ": has adapter_model.bin but no adapter_model.safetensors: open it in peft and save it with ",
                   "save_pretrained(folder, safe_serialization=True)");
  SafetensorsFile file(path);

  detail::Differences differences("adapter_config.json and the model ask for ");
  std::set<std::string> unknown;
  for (const auto& [name, entry] : file.tensors()) unknown.insert(name);
  // True if the file has the tensor.
  const auto expected = [&](const std::string& name, const Shape& shape) {
    if (unknown.erase(name) == 0) return false;
    differences.compare(name, file.entry(name).shape, shape);
    return true;
  };
  const auto named = [](const std::vector<std::string>& names, const std::string& module) {
    return std::any_of(names.begin(), names.end(), [&](const auto& name) { return detail::is_called(module, name); });
  };

  struct Adapters {
    Linear<T>* layer;
    std::string a, b;
    double scale;
  };
  std::vector<Adapters> adapters;
  for (const auto& [name, layer] : gptlite::detail::linear_layers(model)) {
    const std::string module = detail::peft_name(model, name), begin = "base_model.model." + module;
    const Adapters names{layer, begin + ".lora_A.weight", begin + ".lora_B.weight", config.scale_of(module)};
    const Index rank = config.rank_of(module);
    const bool a = expected(names.a, {rank, layer->weight.shape()[0]});
    const bool b = expected(names.b, {layer->weight.shape()[1], rank});
    const bool wanted = a || b || (named(config.targets, module) && !named(config.modules_to_save, module));
    if (wanted && !a) differences.missing.push_back(names.a);
    if (wanted && !b) differences.missing.push_back(names.b);
    if (wanted) adapters.push_back(names);
  }
  std::vector<detail::PeftTensor<Tensor<T>>> whole;
  std::map<std::string, bool> modules;  // modules to save: true if the file has a part of it
  for (const detail::PeftTensor<Tensor<T>>& each : detail::peft_tensors(model)) {
    const Shape& shape = each.tensor->shape();
    const bool found = expected(each.name, each.transposed ? Shape{shape[1], shape[0]} : shape);
    if (found) whole.push_back(each);
    if (named(config.modules_to_save, each.module)) modules[each.module] |= found;
  }
  for (const auto& [module, found] : modules)
    if (!found) differences.missing.push_back("base_model.model." + module + ".*");
  // Where the token embedding is the output head, PEFT still changes the one that is in the file alone.
  const std::string embedding = detail::peft_embedding(model);
  bool has_head = false;
  if constexpr (std::is_same_v<Module, GPT<T>>)
    has_head = !embedding.empty() && expected(detail::peft_head, model.wte.weight.shape());
  differences.unexpected.assign(unknown.begin(), unknown.end());
  differences.check_none(where, path);
  check<DataError>(!adapters.empty(), where, path, ": holds no adapters");
  const bool has_embedding = !embedding.empty() && file.contains(embedding);
  const bool unties =
      has_head ? !has_embedding || file.read_bytes(detail::peft_head) != file.read_bytes(embedding) : has_embedding;
  const Tensor<T> head = has_head ? file.read<T>(detail::peft_head) : Tensor<T>();

  const auto read = [&](const std::string& name, bool transposed) {
    const Tensor<T> numbers = file.read<T>(name);
    return transposed ? transpose(numbers, 0, 1) : numbers;
  };
  std::vector<Tensor<T>> numbers;  // all are read before the model changes
  for (const Adapters& names : adapters) {
    numbers.push_back(read(names.a, true));
    numbers.push_back(read(names.b, true));
  }
  for (const detail::PeftTensor<Tensor<T>>& each : whole) numbers.push_back(read(each.name, each.transposed));
  if constexpr (std::is_same_v<Module, GPT<T>>) {
    if (unties) model.untie();
  }
  auto next = numbers.begin();
  for (const Adapters& names : adapters) {
    names.layer->lora.A = *next++;
    names.layer->lora.B = *next++;
    names.layer->lora.scale = names.scale;
  }
  gptlite::detail::train_adapters_only(model);
  if constexpr (std::is_same_v<Module, GPT<T>>) {
    if (unties && has_head) {
      std::copy_n(head.data(), head.numel(), model.lm_head.weight.data());
      model.lm_head.weight.set_requires_grad();
    }
  }
  for (const detail::PeftTensor<Tensor<T>>& each : whole) {
    std::copy_n(next->data(), next->numel(), each.tensor->data());
    ++next;
    each.tensor->set_requires_grad();
  }
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
