// LoRA adapters in PEFT's files: names and layout, the same bits back, refusals.

#include "gptlite/io/lora_files.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gptlite/models/heads.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

struct Folder {
  std::string path =
      (std::filesystem::temp_directory_path() / ("gptlite_lora_" + std::to_string(std::random_device{}()))).string();
  ~Folder() { std::filesystem::remove_all(path); }
};

GPT<float> gpt(NormOrder norm_order = NormOrder::pre, Index n_embd = 8) {
  return GPT<float>({.vocab_size = 9,
                     .block_size = 6,
                     .n_layer = 2,
                     .n_head = 2,
                     .n_embd = n_embd,
                     .norm_order = norm_order,
                     .initializer_range = 0.3});
}
TaskModel<float> classifier() { return {gpt(), {.task = Task::classification, .n_class = 3, .dropout = 0}}; }

template <class Module>
void with_adapters(Module& module, const LoraOptions& options = {.rank = 2, .alpha = 3}) {
  add_lora(module, options);
  Generator random(5);
  visit_parameters(module, [&](const std::string& name, Tensor<float>& tensor) {
    if (!name.ends_with("lora_B")) return;
    const Tensor<float> values = Tensor<float>::normal(tensor.shape(), 0, 0.3, random.fork());
    std::copy_n(values.data(), values.size(), tensor.data());
  });
}
template <class Module>
std::vector<float> numbers(Module& module) {
  std::vector<float> all;
  visit_parameters(module, [&](const std::string&, Tensor<float>& tensor) {
    all.insert(all.end(), tensor.data(), tensor.data() + tensor.size());
  });
  return all;
}

// What load_lora says of a folder, "F" in place of its path; the model is unchanged.
std::string refusal(const std::string& folder, GPT<float> model = gpt()) {
  const std::vector<float> before = numbers(model);
  std::string message = message_of<Error>([&] { io::load_lora(folder, model); });
  CHECK(numbers(model) == before);
  CHECK_FALSE(has_lora(model));
  CHECK(trainable_count(model) == parameter_count(model));
  const std::size_t at = message.find(folder);
  return at == message.npos ? message : message.substr(0, at) + 'F' + message.substr(at + folder.size());
}
void set(const std::string& folder, const char* key, const nlohmann::json& value) {
  nlohmann::json config = io::read_json(folder + "/adapter_config.json");
  config[key] = value;
  std::ofstream(folder + "/adapter_config.json") << config;
}

}  // namespace

TEST_CASE("adapters of a GPT come back with the same bits, on a model of the same weights") {
  for (const NormOrder norm_order : {NormOrder::pre, NormOrder::post}) {
    const Folder folder;
    GPT<float> model = gpt(norm_order), other = gpt(norm_order);
    with_adapters(model, {.rank = 2, .alpha = 3, .targets = {"*c_attn", "h.1.mlp.c_proj"}});
    io::save_lora(folder.path, model);
    io::load_lora(folder.path, other);
    CHECK(numbers(other) == numbers(model));
    CHECK(other.h[0].attn.c_attn.lora_scale == 1.5);
    CHECK(trainable_count(other) == trainable_count(model));
    const Tensor<TokenId> tokens = Tensor<TokenId>::from({1, 2, 3, 4}, {1, 4});
    CHECK(other.logits(tokens).to_vector() == model.logits(tokens).to_vector());
  }
}

TEST_CASE("the files are PEFT's") {
  const Folder folder;
  GPT<float> model = gpt();
  with_adapters(model, {.rank = 2, .alpha = 3, .targets = {"*c_attn", "*.1.mlp.c_proj"}});
  io::save_lora(folder.path, model);
  const nlohmann::json config = io::read_json(folder.path + "/adapter_config.json");
  CHECK(config.at("peft_type") == "LORA");
  CHECK(config.at("task_type") == "CAUSAL_LM");
  CHECK(config.at("r") == 2);
  CHECK(config.at("lora_alpha") == 3);
  CHECK(config.at("fan_in_fan_out") == true);
  CHECK(config.at("modules_to_save").is_null());
  // The shortest names that mean these layers alone: "c_proj" would mean that of attention, too.
  CHECK(config.at("target_modules") == nlohmann::json{"1.mlp.c_proj", "c_attn"});
  io::SafetensorsFile file(folder.path + "/adapter_model.safetensors");
  const std::string layer = "base_model.model.transformer.h.0.attn.c_attn.";
  CHECK(file.tensors().size() == 6);
  CHECK(file.entry(layer + "lora_A.weight").shape == Shape{2, 8});  // torch's (out, in)
  CHECK(file.entry(layer + "lora_B.weight").shape == Shape{24, 2});
  const Tensor<float> A = file.read<float>(layer + "lora_A.weight");
  CHECK(A.at({1, 5}) == model.h[0].attn.c_attn.lora_A.at({5, 1}));
}

TEST_CASE("the head of a TaskModel, and what else trains, is in the file whole") {
  const Folder folder;
  TaskModel<float> model = classifier(), other = classifier();
  with_adapters(model);
  unfreeze(model, std::vector<std::string>{"score.*", "transformer.wpe.weight"});
  model.score.weight.data()[4] = 7;
  model.transformer.wpe.weight.data()[0] = 7;
  io::save_lora(folder.path, model);
  const nlohmann::json config = io::read_json(folder.path + "/adapter_config.json");
  CHECK(config.at("task_type") == "SEQ_CLS");
  CHECK(config.at("modules_to_save") == nlohmann::json{"score", "transformer.wpe"});
  const io::SafetensorsFile file(folder.path + "/adapter_model.safetensors");
  CHECK(file.entry("base_model.model.score.weight").shape == Shape{3, 8});
  io::load_lora(folder.path, other);
  CHECK(numbers(other) == numbers(model));
  CHECK(other.score.weight.requires_grad());
  CHECK(other.transformer.wpe.weight.requires_grad());
  CHECK_FALSE(other.transformer.wte.weight.requires_grad());
}

TEST_CASE("what cannot be saved") {
  const Folder folder;
  GPT<float> model = gpt();
  CHECK(message_of<ConfigError>([&] { io::save_lora(folder.path, model); }) ==
        "[save_lora] the model has no adapters: call add_lora(model) first");
  with_adapters(model);
  model.h[1].attn.c_attn.lora_scale = 2;
  CHECK(message_of<ConfigError>([&] { io::save_lora(folder.path, model); }) ==
        "[save_lora] h.1.attn.c_attn: the adapters have several ranks or scales; one file has one of each");
  CHECK_FALSE(std::filesystem::exists(folder.path));
  CHECK(message_of<ConfigError>([&] { io::save_gpt(folder.path, model); }) ==
        "[save_gpt] the model has adapters: call save_lora(folder, model), or merge_lora(model) first");
  CHECK_FALSE(std::filesystem::exists(folder.path));
}

TEST_CASE("what cannot be loaded leaves the model as it was") {
  const Folder folder;
  CHECK(refusal(folder.path).starts_with("[read_text] F/adapter_config.json"));
  GPT<float> model = gpt();
  with_adapters(model);
  io::save_lora(folder.path, model);
  CHECK(message_of<ConfigError>([&] { io::load_lora(folder.path, model); }) ==
        "[load_lora] the model has adapters already: call merge_lora(model) first");

  CHECK(refusal(folder.path, gpt(NormOrder::pre, 16))
            .starts_with("[load_lora] F/adapter_model.safetensors: 0 missing, 0 unexpected, 4 shape mismatches:\n"
                         "  base_model.model.transformer.h.0.attn.c_attn.lora_A.weight: file has (2, 8), "
                         "adapter_config.json and the "
                         "model ask for (2, 16)\n"));
  set(folder.path, "r", 4);
  CHECK(refusal(folder.path).find("4 shape mismatches") != std::string::npos);
  set(folder.path, "r", 0);
  CHECK(refusal(folder.path) == "[load_lora] F/adapter_config.json: \"r\" must be positive");
  set(folder.path, "r", 2);
  set(folder.path, "target_modules", {"c_attn", "c_fc"});
  CHECK(refusal(folder.path) ==
        "[load_lora] F/adapter_model.safetensors: 4 missing, 0 unexpected, 0 shape mismatches:\n"
        "  missing base_model.model.transformer.h.0.mlp.c_fc.lora_A.weight\n"
        "  missing base_model.model.transformer.h.0.mlp.c_fc.lora_B.weight\n"
        "  missing base_model.model.transformer.h.1.mlp.c_fc.lora_A.weight\n"
        "  missing base_model.model.transformer.h.1.mlp.c_fc.lora_B.weight");
  set(folder.path, "target_modules", {"c_attn"});
  set(folder.path, "modules_to_save", {"score"});
  TaskModel<float> task = classifier();
  CHECK(message_of<DataError>([&] {
          io::load_lora(folder.path, task);
        }).ends_with(": 1 missing, 0 unexpected, 0 shape mismatches:\n  missing base_model.model.score.*"));
  set(folder.path, "modules_to_save", nullptr);
  set(folder.path, "use_dora", true);
  CHECK(refusal(folder.path).starts_with("[load_lora] F/adapter_config.json: \"use_dora\""));
  set(folder.path, "use_dora", false);
  set(folder.path, "peft_type", "IA3");
  CHECK(refusal(folder.path).starts_with("[load_lora] F/adapter_config.json: \"peft_type\""));
  set(folder.path, "peft_type", "LORA");

  io::save_safetensors(folder.path + "/adapter_model.safetensors", {{"other", Tensor<float>::zeros({1})}});
  CHECK(refusal(folder.path).find("4 missing, 1 unexpected, 0 shape mismatches") != std::string::npos);
  set(folder.path, "target_modules", nullptr);
  io::save_safetensors(folder.path + "/adapter_model.safetensors", {});
  CHECK(refusal(folder.path) == "[load_lora] F/adapter_model.safetensors: holds no adapters");
}
