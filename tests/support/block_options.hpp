#pragma once
// GPTs with the options of GPTConfig that GPT-1 and GPT-2 do not have: each alone, and all together.

#include <string>
#include <utility>
#include <vector>

#include "gptlite/models/gpt_config.hpp"

namespace block_options {

/// The name and the configuration of each. Odd sizes: 4 heads of 6, 23 tokens. Weights so large that logits differ
/// clearly.
inline std::vector<std::pair<std::string, gptlite::GPTConfig>> configs() {
  using namespace gptlite;
  const GPTConfig plain{.vocab_size = 23,
                        .block_size = 33,
                        .n_layer = 2,
                        .n_head = 4,
                        .n_embd = 24,
                        .norm_order = NormOrder::pre,
                        .initializer_range = 0.3};
  std::vector<std::pair<std::string, GPTConfig>> all;
  const auto add = [&](const std::string& name, auto change) {
    GPTConfig config = plain;
    change(config);
    all.emplace_back(name, config);
  };
  add("rotary", [](GPTConfig& c) { c.rotary = true; });
  add("rope_theta", [](GPTConfig& c) { c.rotary = true, c.rope_theta = 50; });
  add("rms_norm", [](GPTConfig& c) { c.norm_type = NormType::rms_norm; });
  add("qk_norm", [](GPTConfig& c) { c.qk_norm = true; });
  add("n_kv_head", [](GPTConfig& c) { c.n_kv_head = 2; });
  add("one_kv_head", [](GPTConfig& c) { c.n_kv_head = 1; });
  add("swiglu", [](GPTConfig& c) { c.gated_mlp = true, c.activation = Activation::silu, c.n_inner = 37; });
  add("no_bias", [](GPTConfig& c) { c.bias = false; });
  add("logit_softcap", [](GPTConfig& c) { c.logit_softcap = 1.5; });
  add("zero_projections", [](GPTConfig& c) { c.zero_projections = true; });
  const auto everything = [](GPTConfig& c) {
    c.rotary = true;
    c.norm_type = NormType::rms_norm;
    c.qk_norm = true;
    c.n_kv_head = 2;
    c.gated_mlp = true;
    c.activation = Activation::relu_squared;
    c.bias = false;
    c.logit_softcap = 5;
    c.tie_word_embeddings = false;
    c.window = 9;
  };
  add("all", everything);
  add("all_post", [&](GPTConfig& c) { everything(c), c.norm_order = NormOrder::post; });
  return all;
}

}  // namespace block_options
