// load_gpt and save_gpt: models of transformers compute here what they compute there
// (tests/fixtures/make_huggingface.py), come back with the same bits, and folders that do not fit are refused with all
// that is wrong.

#include "gptlite/io/gpt_folder.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <string>

#include "gptlite/autograd/ops/softmax.hpp"
#include "gptlite/generate/generate.hpp"
#include "gptlite/io/tokenizer_folder.hpp"
#include "support/block_options.hpp"
#include "support/fixture.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

const std::string fixtures = GPTLITE_FIXTURES;

// A copy of a fixture's folder whose config.json or weights a test changes.
struct Changed : TemporaryFolder {
  explicit Changed(const std::string& name) {
    std::filesystem::copy(fixtures + "/" + name, path, std::filesystem::copy_options::recursive);
  }
  std::string config() const { return path.string() + "/config.json"; }
  std::string weights() const { return path.string() + "/model.safetensors"; }
  Changed& set(const char* key, const nlohmann::json& value) {
    nlohmann::json json = io::read_json(config());
    json[key] = value;
    std::ofstream(config()) << json;
    return *this;
  }
  io::NamedTensors tensors() const {
    io::SafetensorsFile file(weights());
    io::NamedTensors all;
    for (const auto& [name, entry] : file.tensors()) all.emplace(name, file.read<float>(name));
    return all;
  }
  std::string refusal() const {
    const std::string message = message_of<DataError>([&] { io::load_gpt(path.string()); });
    const std::string head = "[load_gpt] " + path.string() + "/";
    CHECK(message.substr(0, head.size()) == head);
    return message.substr(head.size());
  }
};

}  // namespace

TEST_CASE("models of transformers give its log-probabilities and its greedy text") {
  for (const std::string name : {"openai-gpt", "gpt2"}) {
    CAPTURE(name);
    const nlohmann::json expected = read_fixture(name + "/expected.json");
    const GPT<float> model = io::load_gpt(fixtures + "/" + name);
    CHECK_FALSE(model.mode->training);
    const std::vector<TokenId> tokens = expected["tokens"], greedy = expected["greedy"];
    const NoGrad no_grad;
    const Index n = static_cast<Index>(tokens.size());
    const Tensor<float> scores = log_softmax(model.logits(Tensor<TokenId>::from(tokens, {1, n})));
    for (Index i = 0; i + 1 < n; ++i)
      CHECK(std::abs(static_cast<double>(scores.at({0, i, tokens[static_cast<std::size_t>(i) + 1]})) -
                     expected["logprobs"][static_cast<std::size_t>(i)].get<double>()) < 1e-5);
    CHECK(generate(model, {greedy.begin(), greedy.begin() + 8}, {.max_new_tokens = 40, .temperature = 0}) == greedy);
  }
}

TEST_CASE("a model that is saved again has the same weights under the same names, bit for bit") {
  for (const std::string name : {"openai-gpt", "gpt2"}) {
    const TemporaryFolder folder;
    GPT<float> model = io::load_gpt(fixtures + "/" + name);
    io::save_gpt(folder.path.string() + "/new", model);
    io::SafetensorsFile before(fixtures + "/" + name + "/model.safetensors");
    io::SafetensorsFile after(folder.path.string() + "/new/model.safetensors");
    CHECK(after.metadata().at("format") == "pt");
    REQUIRE(after.tensors().size() == before.tensors().size());
    for (const auto& [tensor, entry] : before.tensors()) {
      CHECK(after.entry(tensor).shape == entry.shape);
      CHECK(after.read_bytes(tensor) == before.read_bytes(tensor));
    }
    const nlohmann::json config = io::read_json(folder.path.string() + "/new/config.json");
    const nlohmann::json original = io::read_json(fixtures + "/" + name + "/config.json");
    for (const auto& [key, value] : original.items())
      if (config.contains(key)) CHECK(config.at(key) == value);
  }
}

TEST_CASE("a weight that F16 has no number for is refused, and nothing is written") {
  const TemporaryFolder folder;
  GPT<float> model({.vocab_size = 5, .block_size = 4, .n_layer = 1, .n_head = 1, .n_embd = 4});
  model.wte.weight.data()[3] = 70000;
  const std::string path = folder.file("model");
  CHECK(message_of<DataError>([&] {
          io::save_gpt(path, model, {.dtype = io::DType::F16});
        }).find("tokens_embed.weight has the weight 70000, too large for F16: choose another format") !=
        std::string::npos);
  CHECK_FALSE(io::path_exists(path));
  io::save_gpt(path, model, {.dtype = io::DType::BF16});
  CHECK(io::path_exists(path));
}

TEST_CASE("what the system says of a path is an IoError, not an exception of the standard library") {
  const std::string long_name = "/" + std::string(300, 'x');
  CHECK(message_of<IoError>([&] { io::load_gpt(long_name); }).find("File name too long") != std::string::npos);
  CHECK(message_of<IoError>([&] { io::load_tokenizer(long_name); }).find("File name too long") != std::string::npos);
}

TEST_CASE("every setting of a model comes back, and half the bytes hold its weights") {
  const TemporaryFolder folder;
  GPT<float> model({.vocab_size = 23,
                    .block_size = 11,
                    .n_layer = 1,
                    .n_head = 2,
                    .n_embd = 6,
                    .dropout = 0.3,
                    .window = 5,
                    .norm_order = NormOrder::pre,
                    .layer_norm_epsilon = 1e-3,
                    .initializer_range = 0.07});
  io::save_gpt(folder.path.string(), std::as_const(model), {.dtype = io::DType::BF16});
  GPT<double> loaded = io::load_gpt<double>(folder.path.string());
  CHECK(loaded.config.vocab_size == 23);
  CHECK(loaded.config.block_size == 11);
  CHECK(loaded.config.dropout == 0.3);
  CHECK(loaded.config.window == 5);
  CHECK(loaded.config.norm_order == NormOrder::pre);
  CHECK(loaded.config.layer_norm_epsilon == 1e-3);
  CHECK(loaded.config.initializer_range == 0.07);
  const auto expected = named_parameters<float>(model);
  const auto got = named_parameters<double>(loaded);
  for (std::size_t i = 0; i < got.size(); ++i)
    for (Index j = 0; j < got[i].second.numel(); ++j)
      CHECK(got[i].second.data()[j] == static_cast<double>(round_to_bfloat16(expected[i].second.data()[j])));
}

TEST_CASE("options that transformers has no class for come back, in a folder of a type of its own") {
  for (const auto& option : block_options::configs()) {
    CAPTURE(option.first);
    const auto& [name, config] = option;
    const TemporaryFolder folder;
    const GPT<float> model(config);
    io::save_gpt(folder.path.string(), model);
    const nlohmann::json saved = io::read_json(folder.path.string() + "/config.json");
    CHECK(saved["model_type"] == (name == "zero_projections" ? "gpt2" : "gptlite"));
    const GPT<float> loaded = io::load_gpt(folder.path.string());
    CHECK(loaded.config.unpublished_options() == config.unpublished_options());
    CHECK(loaded.config.rope_theta == config.rope_theta);
    CHECK(loaded.config.parameter_count() == config.parameter_count());
    const auto tokens = Tensor<TokenId>::from({1, 2, 3, 22, 0, 7, 7, 5, 4, 4, 9, 11}, {1, 12});
    const NoGrad no_grad;
    CHECK(loaded.logits(tokens).to_vector() == model.logits(tokens).to_vector());
  }
}

TEST_CASE("an option is not read where the type of the folder has none") {
  CHECK(Changed("gpt2").set("gptlite_rotary", true).refusal() ==
        "config.json: \"gptlite_rotary\" is for model_type gptlite alone, this is gpt2");
  const TemporaryFolder folder;
  io::save_gpt(folder.path.string(), GPT<float>(block_options::configs().back().second));
  const auto refusal = [&](const char* key, const nlohmann::json& value) {
    const std::string path = folder.path.string() + "/config.json";
    const nlohmann::json before = io::read_json(path);
    nlohmann::json json = before;
    json[key] = value;
    std::ofstream(path) << json;
    const std::string message = message_of<DataError>([&] { io::load_gpt(folder.path.string()); });
    std::ofstream(path) << before;
    return message.substr(message.find("config.json"));
  };
  CHECK(refusal("gptlite_norm_type", "batch_norm") ==
        "config.json: \"gptlite_norm_type\" is \"batch_norm\", which is not supported, only layer_norm, rms_norm");
  CHECK(refusal("gptlite_n_kv_head", 3) == "config.json: [GPTConfig] n_kv_head must divide n_head 4, got 3");
  CHECK(refusal("gptlite_rope_theta", "large") ==
        "config.json: \"gptlite_rope_theta\" must be a number, not \"large\"");
  CHECK(refusal("gptlite_gated_mlp", 1) == "config.json: \"gptlite_gated_mlp\" must be true or false, not 1");
  CHECK(refusal("gptlite_logit_softcap", -2) ==
        "config.json: [GPTConfig] logit_softcap must be 0 (off) or positive, got -2");
  CHECK(refusal("gptlite_qk_norm", false).starts_with("config.json says "));  // the weights say another
}

TEST_CASE("GPT-2's settings come back: activation, n_inner, scales of attention, a head of its own") {
  GPTConfig config{.vocab_size = 13, .block_size = 11, .n_layer = 2, .n_head = 2, .n_embd = 6};
  config.norm_order = NormOrder::pre;
  config.n_inner = 10;
  config.scale_attn_weights = false;
  config.scale_attn_by_inverse_layer_idx = true;
  config.tie_word_embeddings = false;
  for (const Activation activation :
       {Activation::gelu_tanh, Activation::gelu_erf, Activation::silu, Activation::relu, Activation::tanh}) {
    const TemporaryFolder folder;
    config.activation = activation;
    const GPT<float> model(config);
    CHECK(parameter_count(model) == config.parameter_count());
    io::save_gpt(folder.path.string(), model);
    GPT<float> loaded = io::load_gpt(folder.path.string());
    CHECK(loaded.config.activation == activation);
    CHECK(loaded.config.n_inner == 10);
    CHECK_FALSE(loaded.config.scale_attn_weights);
    CHECK(loaded.config.scale_attn_by_inverse_layer_idx);
    CHECK(loaded.h[1].attn.scale == 0.5);
    const Tensor<TokenId> tokens = Tensor<TokenId>::from({3, 1, 12, 7, 5}, {1, 5});
    CHECK(loaded.logits(tokens).to_vector() == model.logits(tokens).to_vector());
    CHECK(loaded.lm_head.weight.to_vector() == model.lm_head.weight.to_vector());
  }
  config.norm_order = NormOrder::post;
  const TemporaryFolder folder;
  const auto refusal = [&] {
    return message_of<ConfigError>([&] { io::save_gpt(folder.path.string() + "/no", GPT<float>(config)); });
  };
  CHECK(refusal() == "[save_gpt] transformers' openai-gpt has no activation tanh");
  config.activation = Activation::silu;
  CHECK(refusal() == "[save_gpt] transformers' openai-gpt has n_inner 4 n_embd and scaled attention alone");
  CHECK_FALSE(std::filesystem::exists(folder.path / "no"));
}

TEST_CASE("names may lack the prefix; masks and a tied head are passed over") {
  Changed folder("gpt2");
  io::NamedTensors tensors;
  for (const auto& [name, tensor] : folder.tensors())
    tensors.emplace(name.substr(std::string("transformer.").size()), tensor);
  tensors.emplace("h.0.attn.bias", Tensor<float>::ones({1, 1, 48, 48}));
  tensors.emplace("lm_head.weight", tensors.at("wte.weight"));
  io::save_safetensors(folder.weights(), tensors);
  GPT<float> model = io::load_gpt(folder.path.string()), expected = io::load_gpt(fixtures + "/gpt2");
  CHECK(model.wte.weight.to_vector() == expected.wte.weight.to_vector());
  CHECK(model.h[1].mlp.c_proj.weight.to_vector() == expected.h[1].mlp.c_proj.weight.to_vector());
}

TEST_CASE("heads beside the language model's are passed over, but nothing of an output head") {
  Changed folder("gpt2");
  io::NamedTensors tensors = folder.tensors();
  for (const char* name : {"v_head.summary.weight", "multiple_choice_head.summary.bias", "classifier.weight"})
    tensors.emplace(name, Tensor<float>::ones({1, 24}));
  io::save_safetensors(folder.weights(), tensors);
  GPT<float> model = io::load_gpt(folder.path.string());
  CHECK(model.wte.weight.to_vector() == io::load_gpt(fixtures + "/gpt2").wte.weight.to_vector());
  CHECK(io::other_heads(folder.path.string()) ==
        std::vector<std::string>{"classifier.weight", "multiple_choice_head.summary.bias", "v_head.summary.weight"});
  CHECK(io::other_heads(fixtures + "/gpt2").empty());
  tensors.emplace("lm_head.bias", Tensor<float>::ones({61}));
  tensors.emplace("transformer.v_head.bias", Tensor<float>::ones({1}));
  io::save_safetensors(folder.weights(), tensors);
  CHECK(folder.refusal() ==
        "model.safetensors: 0 missing, 2 unexpected, 0 shape mismatches:\n"
        "  unexpected lm_head.bias\n  unexpected transformer.v_head.bias");
}

TEST_CASE("a tied embedding that the file names as the output head is found") {
  Changed folder("gpt2");
  io::NamedTensors tensors = folder.tensors();
  const std::vector<float> embedding = std::get<Tensor<float>>(tensors.at("transformer.wte.weight")).to_vector();
  tensors.emplace("lm_head.weight", tensors.at("transformer.wte.weight"));
  tensors.erase("transformer.wte.weight");
  io::save_safetensors(folder.weights(), tensors, {{"transformer.wte.weight", "lm_head.weight"}});
  CHECK(io::load_gpt(folder.path.string()).wte.weight.to_vector() == embedding);
  io::save_safetensors(folder.weights(), tensors);
  CHECK(io::load_gpt(folder.path.string()).wte.weight.to_vector() == embedding);
  tensors.erase("lm_head.weight");
  io::save_safetensors(folder.weights(), tensors);
  CHECK(folder.refusal() == "model.safetensors: 1 missing, 0 unexpected, 0 shape mismatches:\n  missing wte.weight");
}

TEST_CASE("all that does not fit is listed at once") {
  Changed folder("openai-gpt");
  io::NamedTensors tensors = folder.tensors();
  tensors.erase("transformer.h.1.ln_2.bias");
  tensors.erase("transformer.tokens_embed.weight");
  tensors.emplace("transformer.h.2.ln_1.bias", Tensor<float>::zeros({24}));
  tensors.at("transformer.h.0.mlp.c_fc.weight") = Tensor<float>::zeros({24, 95});
  io::save_safetensors(folder.weights(), tensors);
  CHECK(folder.refusal() ==
        "model.safetensors: 2 missing, 1 unexpected, 1 shape mismatches:\n"
        "  missing tokens_embed.weight\n  missing h.1.ln_2.bias\n  unexpected transformer.h.2.ln_1.bias\n"
        "  h.0.mlp.c_fc.weight: file has (24, 95), config.json asks for (24, 96)");
}

TEST_CASE("an output head of its own is refused where config.json says that it is the token embedding") {
  Changed folder("gpt2");
  io::NamedTensors tensors = folder.tensors();
  tensors.emplace("lm_head.weight", Tensor<float>::zeros({61, 24}));
  io::save_safetensors(folder.weights(), tensors);
  CHECK(folder.refusal() ==
        "model.safetensors: lm_head.weight is not transformer.wte.weight; config.json says that they are one "
        "(\"tie_word_embeddings\")");
  folder.set("tie_word_embeddings", false);
  const GPT<float> model = io::load_gpt(folder.path.string());
  CHECK(model.lm_head.weight.to_vector() == std::vector<float>(61 * 24, 0));
  tensors.erase("lm_head.weight");
  io::save_safetensors(folder.weights(), tensors);
  CHECK(folder.refusal() ==
        "model.safetensors: 1 missing, 0 unexpected, 0 shape mismatches:\n  missing lm_head.weight");
}

TEST_CASE("configurations that compute something else are refused") {
  const auto refusal = [](const char* key, const nlohmann::json& value) {
    return Changed("gpt2").set(key, value).refusal();
  };
  CHECK(refusal("model_type", "llama") ==
        "config.json: \"model_type\" is \"llama\", which is not supported, only openai-gpt, gpt2 and gptlite");
  CHECK(refusal("activation_function", "mish") ==
        "config.json: \"activation_function\" is \"mish\", which is not supported, only gelu_new, gelu_pytorch_tanh, "
        "gelu_fast, gelu, gelu_python, silu, swish, relu, relu2, tanh");
  CHECK(
      refusal("add_cross_attention", true) ==
      "config.json: \"add_cross_attention\" is true, which is not supported: GPT has no cross-attention: save a model "
      "without it");
  CHECK(refusal("quantization_config", {{"bits", 4}}) ==
        "config.json: \"quantization_config\" is {\"bits\":4}, which is not supported: dequantize the model in "
        "transformers, and save it");
  CHECK(refusal("n_experts", 8) ==
        "config.json: \"n_experts\" is not known, so that the model might compute something else: remove it if it "
        "changes nothing");
  CHECK(refusal("scale_attn_weights", 1) == "config.json: \"scale_attn_weights\" must be true or false, not 1");
  CHECK(refusal("n_inner", 100).find("h.0.mlp.c_fc.weight: file has (24, 96), config.json asks for (24, 100)") !=
        std::string::npos);
  CHECK(refusal("n_head", 5) == "config.json: [GPTConfig] n_embd 24 is not divisible by n_head 5");
  CHECK(refusal("n_layer", -2) == "config.json: \"n_layer\" must be a whole number, not -2");
  CHECK(refusal("n_layer", 1e300) == "config.json: \"n_layer\" must be a whole number, not 1e+300");
  CHECK(refusal("n_layer", 1.5) == "config.json: \"n_layer\" must be a whole number, not 1.5");
  CHECK(refusal("n_layer", 0) == "config.json: [GPTConfig] n_layer must be positive, got 0");
  CHECK(refusal("n_layer", 4294967296) == "config.json: \"n_layer\" is 4294967296, the most is 1073741824");
  CHECK(refusal("vocab_size", nullptr) == "config.json: \"vocab_size\" must be a whole number");
  CHECK(refusal("layer_norm_epsilon", "small") ==
        "config.json: \"layer_norm_epsilon\" must be a number, not \"small\"");
}

TEST_CASE("a configuration of far more than the weights hold is refused before a model is made") {
  for (const auto& [key, value] : {std::pair{"vocab_size", 1 << 30}, {"n_layer", 1 << 30}, {"n_positions", 1 << 30}}) {
    Changed folder("gpt2");
    folder.set(key, value);
    CHECK(message_of<DataError>([&] {
            io::load_gpt(folder.path.string());
          }).starts_with("[load_gpt] " + folder.path.string() + ": config.json asks for "));
  }
  // Layers of one channel have few numbers, but a dozen tensors each.
  Changed folder("gpt2");
  for (const char* key : {"vocab_size", "n_positions", "n_embd", "n_head"}) folder.set(key, 1);
  folder.set("n_inner", 4).set("n_layer", 39000);
  CHECK(message_of<DataError>([&] { io::load_gpt(folder.path.string()); }) ==
        "[load_gpt] " + folder.path.string() + ": config.json asks for 39000 layers, its safetensors have 28 tensors");
}

TEST_CASE("a folder with another kind of weights says how to make them") {
  Changed folder("gpt2");
  std::filesystem::rename(folder.weights(), folder.path.string() + "/pytorch_model.bin");
  CHECK(message_of<DataError>([&] { io::load_gpt(folder.path.string()); }) ==
        "[load_gpt] " + folder.path.string() +
            ": has pytorch_model.bin but no model.safetensors; these two lines of Python write it:\n"
            "  from transformers import AutoModelForCausalLM\n  AutoModelForCausalLM.from_pretrained(\"" +
            folder.path.string() + "\").save_pretrained(\"" + folder.path.string() + "\")");
}
