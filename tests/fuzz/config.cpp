// The JSON files that describe models: config.json of models and of tasks, adapter_config.json, the index of shards.
// Beside each of them is what it describes, so that it may be accepted and the model be made.

#include <cmath>
#include <string>

#include "fuzz/fuzz.hpp"
#include "gptlite/io/lora_folder.hpp"
#include "gptlite/io/task_folder.hpp"

namespace fuzz {

using namespace gptlite;

namespace {

GPTConfig small_config(NormOrder norm_order) {
  return {.vocab_size = 11, .block_size = 8, .n_layer = 1, .n_head = 2, .n_embd = 4, .norm_order = norm_order};
}

// The folders gpt1 and gpt2, each with a small model, the head of a task, adapters and a tokenizer; and the folder
// shards, with one shard. All lack the file under test.
struct Folders : MemoryFiles {
  Folders() {
    const io::FileCallsScope scope(*this);
    const text::Tokenizer tokenizer =
        text::Gpt1Bpe({"<unk>", "a", "a</w>", "<|start|>", "<|delimiter|>", "<|extract|>"}, {},
                      {"<unk>", "<|start|>", "<|delimiter|>", "<|extract|>"});
    for (const NormOrder norm_order : {NormOrder::post, NormOrder::pre}) {
      const std::string folder = norm_order == NormOrder::pre ? "gpt2/" : "gpt1/";
      const GPT<float> model(small_config(norm_order));
      io::NamedTensors tensors = io::detail::published_tensors("folders", model);
      tensors.emplace("score.weight", Tensor<float>::ones({2, 4}));
      io::save_safetensors(folder + "model.safetensors", tensors);
      const std::string layer = "base_model.model.transformer.h.0.attn.c_attn.";
      io::save_safetensors(folder + "adapter_model.safetensors",
                           {{layer + "lora_A.weight", Tensor<float>::ones({2, 4})},
                            {layer + "lora_B.weight", Tensor<float>::ones({12, 2})}});
      files[folder + "tokenizer.json"] = io::detail::tokenizer_files(tokenizer).tokenizer.dump();
    }
    io::save_safetensors("shards/shard", {{"a", Tensor<float>::ones({2})}, {"b", Tensor<double>::ones({1})}},
                         {{"alias", "a"}});
  }
};

void check_config(const std::string& folder, MemoryFiles& memory) {
  const GPTConfig config = io::detail::read_config(io::detail::ModelConfigFile(folder + "/config.json"));
  always(config.n_head > 0 && config.n_embd % config.n_head == 0);
  // What is read is written so that it is read again.
  memory.files["written/config.json"] = io::detail::config_json(config, "LMHeadModel").dump();
  const GPTConfig again = io::detail::read_config(io::detail::ModelConfigFile("written/config.json"));
  always(again.norm_order == config.norm_order && again.vocab_size == config.vocab_size);
  always(again.block_size == config.block_size && again.window == config.window && again.dropout == config.dropout);
  always(again.n_layer == config.n_layer && again.n_head == config.n_head && again.n_embd == config.n_embd);
  always(again.activation == config.activation && again.inner() == config.inner());
  always(again.special_tokens == config.special_tokens && again.tie_word_embeddings == config.tie_word_embeddings);
  always(again.unpublished_options() == config.unpublished_options() && again.kv_heads() == config.kv_heads());
  always(!config.rotary || again.rope_theta == config.rope_theta);
  always(again.logit_softcap == config.logit_softcap);
  for (Index layer = 0; layer < 3; ++layer) always(again.attention_scale(layer) == config.attention_scale(layer));
  always(again.layer_norm_epsilon == config.layer_norm_epsilon && again.initializer_range == config.initializer_range);

  GPT<float> model = io::load_gpt<float>(folder);
  always(model.config.n_layer == 1 && model.wte.weight.shape() == Shape{11, 4});
}

void check_task(const std::string& folder) {
  accepted([&] {
    const io::TaskFolder<float> task = io::load_task_model<float>(folder);
    const Index classes = task.model.score.weight.shape()[1];
    always(task.labels.empty() || static_cast<Index>(task.labels.size()) == classes);
    always(task.max_part_length >= 0 && task.tokenizer.tokenizer.vocab_size() <= task.model.backbone.config.vocab_size);
  });
}

void check_adapters(const std::string& folder) {
  accepted([&] {
    const io::detail::PeftConfig adapters(folder + "/adapter_config.json");
    for (const char* module : {"transformer.h.0.attn.c_attn", "score"}) {
      const double scale = adapters.scale_of(module);
      always(adapters.rank_of(module) > 0 && scale > 0 && std::isfinite(scale));
    }
    GPT<float> model(small_config(folder == "gpt2" ? NormOrder::pre : NormOrder::post));
    io::load_lora(folder, model);
    always(adapters.rank_of("transformer.h.0.attn.c_attn") == 2 && model.h[0].attn.c_attn.lora.defined());
  });
}

void check_shards() {
  accepted([&] {
    io::ModelWeights weights("shards");
    for (const std::string& name : weights.names()) {
      always(weights.contains(name) && (name == "a" || name == "b" || name == "alias"));
      weights.read<float>(name);
    }
  });
}

}  // namespace

void config(std::string_view bytes) {
  static Folders memory;
  const io::FileCallsScope scope(memory);
  const std::string folder = bytes.find("\"openai-gpt\"") != bytes.npos ? "gpt1" : "gpt2";
  memory.files[folder + "/config.json"] = memory.files[folder + "/adapter_config.json"] =
      memory.files["shards/model.safetensors.index.json"] = std::string(bytes);
  // Each file is read as what it names; one that names nothing, as everything.
  const auto names = [&](std::string_view key) { return bytes.find(key) != bytes.npos; };
  const bool any = !names("model_type") && !names("peft_type") && !names("weight_map");
  if (any || names("model_type")) {
    const bool is_model = accepted([&] { check_config(folder, memory); });
    if (is_model || names("label")) check_task(folder);
  }
  if (any || names("peft_type")) check_adapters(folder);
  if (any || names("weight_map")) check_shards();
}

}  // namespace fuzz
