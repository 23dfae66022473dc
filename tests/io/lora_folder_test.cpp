// save_lora and load_lora: PEFT's adapters compute here what they compute there (tests/fixtures/make_lora.py) and come
// back with the same bytes; what does not fit is refused with all that is wrong, and then nothing changes.

#include "gptlite/io/lora_folder.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "gptlite/models/task_model.hpp"
#include "support/fixture.hpp"
#include "support/lora.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

const std::string fixtures = GPTLITE_FIXTURES "/lora/";
const std::vector<std::string> kinds{"gpt2", "openai-gpt"};

GPTConfig small(NormOrder norm_order = NormOrder::pre) {
  return {.vocab_size = 11, .block_size = 6, .n_layer = 2, .n_head = 2, .n_embd = 8, .norm_order = norm_order};
}
template <class T = float>
TaskModel<GPT<T>> task_model(GPT<T> gpt) {
  TaskModel<GPT<T>> model(std::move(gpt), {.task = Task::classification, .n_class = 3});
  model.eval();
  return model;
}
template <class T>
TaskBatch<T> batch_of(const std::vector<TokenId>& tokens) {
  TaskBatch<T> batch;
  batch.tokens = Tensor<TokenId>::from(tokens, {2, 4});
  batch.lengths = Tensor<std::int32_t>::from({4, 4});
  return batch;
}
const std::vector<TokenId> tokens{1, 2, 3, 4, 5, 6, 0, 10};

std::vector<std::string> tensor_names(const std::string& folder) {
  std::vector<std::string> names;
  io::SafetensorsFile file(folder + "/adapter_model.safetensors");
  for (const auto& [name, entry] : file.tensors()) names.push_back(name);
  return names;
}

// A folder with the adapters of a small GPT, which a test changes.
struct Saved : TemporaryFolder {
  GPT<float> model{small()};
  std::string folder = path.string() + "/adapters";

  Saved() {
    add_lora(model, {.rank = 2, .alpha = 3, .targets = {"h.1.attn.c_*"}});
    fill_B(model);
    io::save_lora(folder, model);
  }
  std::string config() const { return folder + "/adapter_config.json"; }
  std::string weights() const { return folder + "/adapter_model.safetensors"; }
  nlohmann::json json() const { return io::read_json(config()); }
  void set(const char* key, const nlohmann::json& value) const {
    nlohmann::json changed = json();
    changed[key] = value;
    std::ofstream(config()) << changed;
  }
  io::NamedTensors tensors() const {
    io::SafetensorsFile file(weights());
    io::NamedTensors all;
    for (const auto& [name, entry] : file.tensors()) all.emplace(name, file.read<float>(name));
    return all;
  }
  // What load_lora says, behind the path of the folder. The model must be as it was.
  std::string refusal() const {
    GPT<float> other(small());
    const auto before = numbers(other);
    const std::string message = message_of<DataError>([&] { io::load_lora(folder, other); });
    CHECK(numbers(other) == before);
    CHECK(trainable_names(other).size() == 28);
    const std::string head = "[load_lora] " + folder;
    CHECK(message.substr(0, head.size()) == head);
    return message.substr(std::min(head.size(), message.size()));
  }
};

}  // namespace

TEST_CASE("adapters of PEFT give its scores, merged too, and are saved as the same bytes") {
  for (const std::string& kind : kinds) {
    CAPTURE(kind);
    const nlohmann::json expected = read_fixture("lora/" + kind + "/expected.json");
    std::vector<TokenId> flat;
    for (const auto& row : expected["tokens"])
      for (const TokenId token : row.get<std::vector<TokenId>>()) flat.push_back(token);
    TaskModel<GPT<float>> model = task_model(io::load_gpt(fixtures + kind));
    io::load_lora(fixtures + kind, model);
    const std::vector<double> logits = expected["logits"];
    CHECK(relative_error(model.logits(batch_of<float>(flat)), logits) < 1e-5);
    CHECK(model.backbone.h[1].mlp.c_proj.lora.scale == 1.5);
    CHECK_FALSE(model.backbone.h[1].attn.c_proj.lora.defined());

    const TemporaryFolder folder;
    io::save_lora(folder.path.string(), model);
    io::SafetensorsFile theirs(fixtures + kind + "/adapter_model.safetensors");
    io::SafetensorsFile ours(folder.file("adapter_model.safetensors"));
    CHECK(tensor_names(folder.path.string()) == tensor_names(fixtures + kind));
    for (const auto& each : theirs.tensors()) {
      const std::string& name = each.first;
      const auto& entry = each.second;
      CAPTURE(name);
      CHECK(ours.entry(name).shape == entry.shape);
      CHECK(ours.read_bytes(name) == theirs.read_bytes(name));
    }
    const nlohmann::json a = io::read_json(folder.file("adapter_config.json"));
    const nlohmann::json b = io::read_json(fixtures + kind + "/adapter_config.json");
    for (const char* key : {"peft_type", "task_type", "r", "lora_alpha", "fan_in_fan_out", "bias", "use_dora"})
      CHECK(a.at(key) == b.at(key));
    CHECK(a.at("target_modules") == nlohmann::json({"c_attn", "mlp.c_proj"}));
    for (const auto& [key, value] : a.items()) CHECK(b.contains(key));

    CHECK(merge_lora(model) == 4);
    CHECK(relative_error(model.logits(batch_of<float>(flat)), logits) < 1e-5);
  }
}

TEST_CASE("a GPT and a TaskModel come back with the same bits, and the same parameters train") {
  const TemporaryFolder folder;
  const std::string path = folder.path.string() + "/new/adapters";
  for (const NormOrder norm_order : {NormOrder::pre, NormOrder::post}) {
    GPT<float> gpt(small(norm_order)), gpt_back(small(norm_order));
    add_lora(gpt, {.rank = 3, .targets = {"*"}, .trainable = {"wte.*", "h.?.ln_1.*"}});
    fill_B(gpt);
    io::save_lora(path, gpt);
    io::load_lora(path, gpt_back);
    CHECK(numbers(gpt_back) == numbers(gpt));
    CHECK(trainable_names(gpt_back) == trainable_names(gpt));
    CHECK(gpt_back.h[0].mlp.c_fc.lora.scale == gpt.h[0].mlp.c_fc.lora.scale);

    TaskModel<GPT<float>> model = task_model(GPT<float>(small(norm_order))),
                          back = task_model(GPT<float>(small(norm_order)));
    fill_normal(back.score.weight.data(), back.score.weight.numel(), 0, 1, Generator(9).fork());
    add_lora(model, {.rank = 1, .alpha = 0.1, .trainable = {"score.*"}});
    fill_B(model);
    io::save_lora(path, model);
    io::load_lora(path, back);
    CHECK(numbers(back) == numbers(model));
    CHECK(trainable_names(back) == trainable_names(model));
    CHECK(back.logits(batch_of<float>(tokens)).to_vector() == model.logits(batch_of<float>(tokens)).to_vector());
    CHECK(back.backbone.h[0].attn.c_attn.lora.scale == 0.1);
  }
}

TEST_CASE("a double model takes adapters of float") {
  const Saved saved;
  GPT<double> model(small());
  io::load_lora(saved.folder, model);
  for (Index i = 0; i < 16; ++i)
    CHECK(model.h[1].attn.c_attn.lora.A.data()[i] == double(saved.model.h[1].attn.c_attn.lora.A.data()[i]));
}

TEST_CASE("the head of a TaskModel is saved though it is frozen, but not one with adapters") {
  const Saved saved;
  TaskModel<GPT<float>> model = task_model(GPT<float>(small()));
  add_lora(model);
  io::save_lora(saved.folder, model);
  CHECK(tensor_names(saved.folder).front() == "base_model.model.score.weight");
  CHECK(saved.json().at("modules_to_save") == nlohmann::json({"score"}));
  CHECK(saved.json().at("task_type") == "SEQ_CLS");

  TaskModel<GPT<float>> adapted = task_model(GPT<float>(small())), back = task_model(GPT<float>(small()));
  add_lora(adapted, {.targets = {"score"}});
  fill_B(adapted);
  io::save_lora(saved.folder, adapted);
  CHECK(tensor_names(saved.folder) ==
        Names{"base_model.model.score.lora_A.weight", "base_model.model.score.lora_B.weight"});
  CHECK(saved.json().at("task_type").is_null());
  CHECK(saved.json().at("modules_to_save").is_null());
  io::load_lora(saved.folder, back);
  CHECK(numbers(back) == numbers(adapted));
}

TEST_CASE("adapter_config.json says what PEFT needs") {
  const Saved saved;
  const nlohmann::json json = saved.json();
  CHECK(json.at("peft_type") == "LORA");
  CHECK(json.at("task_type") == "CAUSAL_LM");
  CHECK(json.at("r") == 2);
  CHECK(json.at("lora_alpha").is_number_integer());
  CHECK(json.at("lora_alpha") == 3);
  CHECK(json.at("fan_in_fan_out") == true);
  CHECK(json.at("modules_to_save").is_null());
  // c_attn alone would mean h.0 too, c_proj alone the MLP's.
  CHECK(json.at("target_modules") == nlohmann::json({"1.attn.c_attn", "1.attn.c_proj"}));
  CHECK(tensor_names(saved.folder).front() == "base_model.model.transformer.h.1.attn.c_attn.lora_A.weight");
  io::SafetensorsFile file(saved.weights());
  CHECK(file.entry("base_model.model.transformer.h.1.attn.c_attn.lora_A.weight").shape == Shape{2, 8});
  CHECK(file.entry("base_model.model.transformer.h.1.attn.c_attn.lora_B.weight").shape == Shape{24, 2});
}

TEST_CASE("a module of which one parameter trains is stored whole") {
  Saved saved;
  unfreeze(saved.model, "ln_f.bias");
  io::save_lora(saved.folder, saved.model);
  CHECK(saved.json().at("modules_to_save") == nlohmann::json({"transformer.ln_f"}));
  CHECK(tensor_names(saved.folder).back() == "base_model.model.transformer.ln_f.weight");
}

TEST_CASE(
    "a token embedding that trains is stored as transformers' output head too; a head of its own unties the model") {
  Saved saved;
  unfreeze(saved.model, "wte.weight");
  saved.model.wte.weight.data()[0] = 5;
  io::save_lora(saved.folder, saved.model);
  CHECK(saved.json().at("modules_to_save") == nlohmann::json({"lm_head", "transformer.wte"}));
  io::NamedTensors tensors = saved.tensors();
  CHECK(std::get<Tensor<float>>(tensors.at("base_model.model.lm_head.weight")).to_vector() ==
        saved.model.wte.weight.to_vector());
  GPT<float> back(small());
  io::load_lora(saved.folder, back);
  CHECK(numbers(back) == numbers(saved.model));

  tensors.insert_or_assign("base_model.model.lm_head.weight", Tensor<float>::zeros({11, 8}));
  io::save_safetensors(saved.weights(), tensors);
  const auto loaded = [&] {
    GPT<float> model(small());
    io::load_lora(saved.folder, model);
    return model;
  };
  const std::vector<float> zeros(11 * 8), before = GPT<float>(small()).wte.weight.to_vector(),
                                          trained = saved.model.wte.weight.to_vector();
  GPT<float> model = loaded();
  CHECK_FALSE(model.config.tie_word_embeddings);
  CHECK(model.wte.weight.to_vector() == trained);
  CHECK(model.lm_head.weight.to_vector() == zeros);
  CHECK(model.lm_head.weight.requires_grad());

  const Tensor<float> embedding = std::get<Tensor<float>>(tensors.at("base_model.model.transformer.wte.weight"));
  tensors.erase("base_model.model.transformer.wte.weight");
  saved.set("modules_to_save", {"lm_head"});
  io::save_safetensors(saved.weights(), tensors);
  model = loaded();
  CHECK(model.wte.weight.to_vector() == before);
  CHECK(model.lm_head.weight.to_vector() == zeros);

  tensors.erase("base_model.model.lm_head.weight");
  tensors.emplace("base_model.model.transformer.wte.weight", embedding);
  saved.set("modules_to_save", {"wte"});
  io::save_safetensors(saved.weights(), tensors);
  model = loaded();
  CHECK(model.wte.weight.to_vector() == trained);
  CHECK(model.lm_head.weight.to_vector() == before);
}

TEST_CASE("what has no place in a folder of PEFT is refused") {
  Saved saved;
  GPT<float> model(small());
  CHECK(message_of<ConfigError>([&] { io::save_lora(saved.folder, model); }) ==
        "[save_lora] the model has no adapters: call add_lora(model) first");
  CHECK(message_of<ConfigError>([&] { io::load_lora(saved.folder, saved.model); }) ==
        "[load_lora] the model has adapters already: call merge_lora(model) first");
  unfreeze(saved.model, "h.1.attn.c_attn.bias");
  CHECK(message_of<ConfigError>([&] { io::save_lora(saved.folder, saved.model); }) ==
        "[save_lora] transformer.h.1.attn.c_attn has adapters and trains itself; a folder of PEFT has one or the "
        "other: freeze its weight and bias, or call merge_lora(model) and save the model");
  freeze(saved.model, "*bias");
}

TEST_CASE("several ranks and scales come back; PEFT's patterns and use_rslora give the same") {
  Saved saved;
  LowRank<float>& adapter = saved.model.h[1].attn.c_proj.lora;
  adapter = {Tensor<float>::ones({8, 3}), Tensor<float>::ones({3, 8}), 0.7};
  io::save_lora(saved.folder, saved.model);
  const std::string module = "transformer.h.1.attn.c_proj";
  CHECK(saved.json().at("rank_pattern") == nlohmann::json({{module, 3}}));
  CHECK(saved.json().at("alpha_pattern").size() == 1);
  GPT<float> back(small());
  io::load_lora(saved.folder, back);
  CHECK(numbers(back) == numbers(saved.model));
  CHECK(back.h[1].attn.c_proj.lora.scale == doctest::Approx(0.7).epsilon(1e-12));
  CHECK(back.h[1].attn.c_attn.lora.scale == 1.5);

  saved.set("alpha_pattern", {{"c_proj", 6}, {"h.1.attn.c_attn", 5}});
  saved.set("use_rslora", true);
  GPT<float> other(small());
  io::load_lora(saved.folder, other);
  CHECK(other.h[1].attn.c_proj.lora.scale == 6 / std::sqrt(3.0));
  CHECK(other.h[1].attn.c_attn.lora.scale == 5 / std::sqrt(2.0));
}

TEST_CASE("files that are missing are named") {
  const Saved saved;
  std::filesystem::rename(saved.weights(), saved.folder + "/adapter_model.bin");
  CHECK(saved.refusal() ==
        ": has adapter_model.bin but no adapter_model.safetensors: open it in peft and save it with "
        "save_pretrained(folder, safe_serialization=True)");
  std::filesystem::remove(saved.config());
  GPT<float> model(small());
  CHECK(message_of<Error>([&] { io::load_lora(saved.folder, model); }).find(saved.config()) != std::string::npos);
}

TEST_CASE("a kind of adapter that Linear does not have is refused") {
  const auto refusal = [](const char* key, const nlohmann::json& value) {
    const Saved saved;
    saved.set(key, value);
    const std::string message = saved.refusal(), head = "/adapter_config.json: ";
    CHECK(message.substr(0, head.size()) == head);
    return message.substr(head.size());
  };
  CHECK(refusal("peft_type", "IA3") == "\"peft_type\" is \"IA3\", which is not supported, only \"LORA\"");
  CHECK(refusal("peft_type", nullptr) == "\"peft_type\" must be a text");
  CHECK(refusal("r", nullptr) == "\"r\" must be a whole number");
  CHECK(refusal("r", -2) == "\"r\" must be a whole number, not -2");
  CHECK(refusal("r", 0) == "\"r\" must be positive");
  CHECK(refusal("lora_alpha", nullptr) == "\"lora_alpha\" must be a number");
  CHECK(refusal("lora_alpha", "3") == "\"lora_alpha\" must be a number, not \"3\"");
  for (const std::string key : {"use_dora", "lora_bias", "use_qalora", "use_bdlora"})
    CHECK(refusal(key.c_str(), true) == '"' + key +
                                            "\" is true, which is not supported: merge the adapters in peft "
                                            "(merge_and_unload) and load the whole model");
  for (const std::string init : {"pissa", "pissa_niter_16", "olora", "corda", "loftq"})
    CHECK(refusal("init_lora_weights", init)
              .starts_with("\"init_lora_weights\" is \"" + init +
                           "\", which is not supported: it may have changed the weights of the model"));
  for (const nlohmann::json& init : {nlohmann::json(true), nlohmann::json(false), nlohmann::json("gaussian")}) {
    const Saved saved;
    saved.set("init_lora_weights", init);
    GPT<float> other(small());
    io::load_lora(saved.folder, other);
    CHECK(has_lora(other));
  }
  CHECK(refusal("bias", "all") ==
        "\"bias\" is \"all\", which is not supported: merge the adapters in peft (merge_and_unload) and load the whole "
        "model");
  CHECK(refusal("lora_magic", 1) ==
        "\"lora_magic\" is not known, so that the model might compute something else: remove it if it changes nothing");
  CHECK(refusal("rank_pattern", {{"h\\..*", 4}}) ==
        "\"rank_pattern\" names modules by the regular expression \"h\\\\..*\", which is not supported: give their "
        "names");
  CHECK(refusal("rank_pattern", {{"c_attn", 1.5}}) == "\"rank_pattern\": \"c_attn\" is 1.5, which is no value for it");
  CHECK(refusal("rank_pattern", {{"c_attn", 0}}) == "\"rank_pattern\": \"c_attn\" is 0, which is no value for it");
  CHECK(refusal("alpha_pattern", {{"c_attn", "4"}}) ==
        "\"alpha_pattern\": \"c_attn\" is \"4\", which is no value for it");
  CHECK(refusal("alpha_pattern", {4}) == "\"alpha_pattern\" must be an object of numbers by module");
  CHECK(refusal("target_modules", {"c_attn", 1}) == "\"target_modules\" must be a list of texts");
  CHECK(refusal("modules_to_save", "score") == "\"modules_to_save\" must be a list of texts");
}

TEST_CASE("all tensors that are missing, not known or of another shape are told in one message") {
  const std::string begin = "base_model.model.transformer.h.";
  {
    const Saved saved;
    io::NamedTensors tensors = saved.tensors();
    tensors.erase(begin + "1.attn.c_attn.lora_B.weight");
    tensors.insert_or_assign(begin + "1.attn.c_proj.lora_A.weight", Tensor<float>::zeros({4, 8}));
    tensors.emplace(begin + "2.attn.c_attn.lora_A.weight", Tensor<float>::zeros({2, 8}));
    io::save_safetensors(saved.weights(), tensors);
    CHECK(saved.refusal() == "/adapter_model.safetensors: 1 missing, 1 unexpected, 1 shape mismatches:\n  missing " +
                                 begin + "1.attn.c_attn.lora_B.weight\n  unexpected " + begin +
                                 "2.attn.c_attn.lora_A.weight\n  " + begin +
                                 "1.attn.c_proj.lora_A.weight: file has (4, 8), adapter_config.json and the model ask "
                                 "for (2, 8)");
  }
  {
    const Saved saved;
    saved.set("target_modules", {"attn.c_proj", "1.attn.c_attn"});  // of both layers
    CHECK(saved.refusal() == "/adapter_model.safetensors: 2 missing, 0 unexpected, 0 shape mismatches:\n  missing " +
                                 begin + "0.attn.c_proj.lora_A.weight\n  missing " + begin +
                                 "0.attn.c_proj.lora_B.weight");
    saved.set("layers_to_transform", {1});  // then the file is what counts
    GPT<float> model(small());
    CHECK_NOTHROW(io::load_lora(saved.folder, model));
  }
  {
    const Saved saved;
    saved.set("modules_to_save", {"ln_f"});
    CHECK(saved.refusal() ==
          "/adapter_model.safetensors: 1 missing, 0 unexpected, 0 shape mismatches:\n  missing "
          "base_model.model.transformer.ln_f.*");
  }
  {
    const Saved saved;
    saved.set("target_modules", nlohmann::json::array());
    io::save_safetensors(saved.weights(), {});
    CHECK(saved.refusal() == "/adapter_model.safetensors: holds no adapters");
  }
}

TEST_CASE("adapters of a classifier do not fit a GPT, nor those of another number of classes") {
  GPT<float> gpt = io::load_gpt(fixtures + "gpt2");
  const std::string path = fixtures + "gpt2/adapter_model.safetensors";
  CHECK(message_of<DataError>([&] { io::load_lora(fixtures + "gpt2", gpt); }) ==
        "[load_lora] " + path +
            ": 0 missing, 1 unexpected, 0 shape mismatches:\n  unexpected base_model.model.score.weight");
  TaskModel<GPT<float>> model(gpt, {.task = Task::classification, .n_class = 4});
  CHECK(message_of<DataError>([&] { io::load_lora(fixtures + "gpt2", model); }) ==
        "[load_lora] " + path +
            ": 0 missing, 0 unexpected, 1 shape mismatches:\n  base_model.model.score.weight: file has (3, 8), "
            "adapter_config.json and the model ask for (4, 8)");
}
