#pragma once
// GGUF files of GPT-2 models, which llama.cpp runs (github.com/ggml-org/ggml, docs/gguf.md, version 3).

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/core/atomic_file.hpp"
#include "gptlite/core/enum_names.hpp"
#include "gptlite/core/finite.hpp"
#include "gptlite/io/float16.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/text/tokenizer.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Formats of the matrices in a GGUF file, with ggml's numbers. Q8_0 holds 8-bit numbers with a scale per 32.
enum class GgufType : std::uint32_t { F32 = 0, F16 = 1, Q8_0 = 8, BF16 = 30 };

constexpr auto enum_names(GgufType) {
  return EnumNames<GgufType, 4>{
      "GGUF format",
      {{{"fp32", GgufType::F32}, {"fp16", GgufType::F16}, {"bf16", GgufType::BF16}, {"int8", GgufType::Q8_0}}}};
}

namespace detail {

/// The bytes of GGUF's header, in the order of the file.
class GgufHeader {
 public:
  template <class Number>
  void number(Number value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    number(std::uint64_t{value.size()});
    bytes_ += value;
  }
  // Settings: key, type, value.
  void setting(std::string_view key, std::uint32_t value) { begin(key, 4), number(value); }
  void setting(std::string_view key, float value) { begin(key, 6), number(value); }
  void setting(std::string_view key, std::string_view value) { begin(key, 8), text(value); }
  void setting(std::string_view key, const std::vector<std::string>& values) {
    begin(key, 9), number(std::uint32_t{8}), number(std::uint64_t{values.size()});
    for (const std::string& value : values) text(value);
  }
  void setting(std::string_view key, const std::vector<std::int32_t>& values) {
    begin(key, 9), number(std::uint32_t{5}), number(std::uint64_t{values.size()});
    for (const std::int32_t value : values) number(value);
  }

  std::uint64_t settings() const { return settings_; }
  const std::string& bytes() const { return bytes_; }

 private:
  void begin(std::string_view key, std::uint32_t type) {
    text(key);
    number(type);
    ++settings_;
  }

  std::string bytes_;
  std::uint64_t settings_ = 0;
};

/// One tensor to write: rows of `columns` numbers, one row per output, with the weights of that output.
struct GgufTensor {
  std::string name;
  GgufType type;
  std::vector<std::uint64_t> sizes;
  kernels::MatrixView<float> rows;

  Index columns() const { return static_cast<Index>(sizes[0]); }
  Index row_count() const { return sizes.size() > 1 ? static_cast<Index>(sizes[1]) : 1; }
  std::uint64_t row_bytes() const {
    if (type == GgufType::Q8_0) return sizes[0] / 32 * 34;
    return sizes[0] * (type == GgufType::F32 ? 4 : 2);
  }
  std::uint64_t bytes() const { return row_bytes() * static_cast<std::uint64_t>(row_count()); }
};

/// Appends one row in the tensor's type.
inline void append_gguf_row(std::string& out, GgufType type, const std::vector<float>& row) {
  const auto put = [&](auto value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); };
  if (type == GgufType::F32) {
    for (const float x : row) put(x);
  } else if (type == GgufType::F16) {
    for (const float x : row) put(Float16(x));
  } else if (type == GgufType::BF16) {
    for (const float x : row) put(bfloat16_bits(x));
  } else {  // for every 32 numbers a scale, then the numbers
    for (std::size_t begin = 0; begin < row.size(); begin += 32) {
      float largest = 0;
      for (std::size_t i = begin; i < begin + 32; ++i) largest = std::max(largest, std::abs(row[i]));
      const float scale = largest / 127;
      put(Float16(scale));
      for (std::size_t i = begin; i < begin + 32; ++i)
        put(static_cast<std::int8_t>(scale > 0 ? std::lrint(row[i] / scale) : 0));
    }
  }
}

}  // namespace detail

/// True if a GGUF file can hold the tokenizer: llama.cpp's gpt2 has byte-level BPE only.
inline bool gguf_supports(const text::Tokenizer& tokenizer) {
  return std::holds_alternative<text::ByteBpe>(tokenizer.variant());
}

/// Writes a model with GPT-2's norm order as a GGUF file: matrices in `type`, vectors and positions in F32. tokenizer:
/// the model's own, of a kind that gguf_supports(); embedding rows after its tokens are named [PAD50257] and so on.
/// Null: the file has no tokenizer, and llama.cpp takes ids. Texts begin, end and are padded with the model's special
/// tokens, or else with the tokenizer's end of text; without any, llama.cpp ends texts at token 11. The file is
/// replaced whole or not at all. Throws ConfigError for what llama.cpp cannot run (NormOrder::post, a window, Q8_0 with
/// channels that are not a multiple of 32, another tokenizer), for a tokenizer with more tokens than the model and for
/// a model with adapters; DataError for a weight that overflows in F16; IoError if the file cannot be written.
inline void save_gguf(const std::string& path, const GPT<float>& model, GgufType type = GgufType::F32,
                      const text::Tokenizer* tokenizer = nullptr) {
  constexpr auto where = "save_gguf";
  const GPTConfig& c = model.config;
  model.check_blocks(where, true);
  check<ConfigError>(c.norm_order == NormOrder::pre, where, "llama.cpp has no models of GPT-1's norm order");
  check<ConfigError>(c.is_published(), where, "llama.cpp has no models with ", c.unpublished_options());
  check<ConfigError>(c.window == 0, where, "llama.cpp's gpt2 has no context window, the model's is ", c.window);
  check<ConfigError>(c.activation == Activation::gelu_tanh, where,
                     "llama.cpp's gpt2 has the activation gelu_tanh, the ", "model's is ", name_of(c.activation));
  check<ConfigError>(c.scale_attn_weights && !c.scale_attn_by_inverse_layer_idx, where,
                     "llama.cpp's gpt2 divides attention's scores by sqrt(n_embd / n_head) alone");
  check<ConfigError>(type != GgufType::Q8_0 || c.n_embd % 32 == 0, where,
                     "Q8_0 needs channels in multiples of 32, the model has ", c.n_embd);
  const text::ByteBpe* bpe = tokenizer == nullptr ? nullptr : std::get_if<text::ByteBpe>(&tokenizer->variant());
  check<ConfigError>(tokenizer == nullptr || bpe != nullptr, where, "llama.cpp's gpt2 has byte-level BPE only");
  check<ConfigError>(bpe == nullptr || bpe->vocab_size() <= c.vocab_size, where, "the tokenizer has ",
                     bpe == nullptr ? 0 : bpe->vocab_size(), " tokens, the model ", c.vocab_size);

  detail::GgufHeader settings;
  const auto size = [&](const char* key, Index value) { settings.setting(key, static_cast<std::uint32_t>(value)); };
  settings.setting("general.architecture", std::string_view("gpt2"));
  size("gpt2.context_length", c.block_size);
  size("gpt2.embedding_length", c.n_embd);
  size("gpt2.feed_forward_length", c.inner());
  size("gpt2.block_count", c.n_layer);
  size("gpt2.attention.head_count", c.n_head);
  size("gpt2.vocab_size", c.vocab_size);
  settings.setting("gpt2.attention.layer_norm_epsilon", static_cast<float>(c.layer_norm_epsilon));
  settings.setting("tokenizer.ggml.model", std::string_view(bpe != nullptr ? "gpt2" : "none"));
  if (bpe != nullptr) {
    const text::BpeVocabulary& vocabulary = bpe->vocabulary();
    std::vector<std::string> tokens = vocabulary.tokens();
    std::vector<std::int32_t> types(tokens.size(), 1);
    for (const TokenId id : vocabulary.special_tokens()) types[static_cast<std::size_t>(id)] = 3;   // control
    for (const TokenId id : vocabulary.ordinary_tokens()) types[static_cast<std::size_t>(id)] = 4;  // user-defined
    for (Index row = vocabulary.size(); row < c.vocab_size; ++row) {  // as llama.cpp's own converter
      tokens.push_back("[PAD" + std::to_string(row) + ']');
      types.push_back(5);  // unused
    }
    std::vector<std::string> merges;
    for (const text::BpeMerge& merge : vocabulary.merges().merges())
      merges.push_back(vocabulary.id_to_token(merge.left) + ' ' + vocabulary.id_to_token(merge.right));
    settings.setting("tokenizer.ggml.pre", std::string_view("gpt-2"));
    settings.setting("tokenizer.ggml.tokens", tokens);
    settings.setting("tokenizer.ggml.token_type", types);
    settings.setting("tokenizer.ggml.merges", merges);
    SpecialTokens special = c.special_tokens.value_or(SpecialTokens{});
    if (const auto end = bpe->end_of_text(); end && !c.special_tokens) special = {.bos = end, .eos = {*end}};
    const auto token = [&](const char* key, std::optional<TokenId> id) {
      if (id && *id < c.vocab_size) size(key, *id);
    };
    token("tokenizer.ggml.bos_token_id", special.bos);
    token("tokenizer.ggml.eos_token_id", special.eos.empty() ? std::nullopt : std::optional(special.eos[0]));
    token("tokenizer.ggml.padding_token_id", special.pad);
  }

  std::vector<detail::GgufTensor> tensors;
  const auto sizes = [](std::initializer_list<Index> all) {
    return std::vector<std::uint64_t>(all.begin(), all.end());
  };
  const auto vector = [&](const std::string& name, const Tensor<float>& t) {
    tensors.push_back({name, GgufType::F32, sizes({t.numel()}), {t.data(), t.numel()}});
  };
  const auto rows = [&](const std::string& name, const Tensor<float>& t, GgufType type_of_rows) {
    tensors.push_back({name, type_of_rows, sizes({t.shape()[1], t.shape()[0]}), {t.data(), t.shape()[1]}});
  };
  const auto linear = [&](const std::string& name, const Linear<float>& l) {
    check<ConfigError>(!l.lora.defined(), where,
                       "the model has adapters: call save_lora(folder, model), or merge_lora(model) first");
    const Index in = l.weight.shape()[0], out = l.weight.shape()[1];
    const kernels::MatrixView<float> weight{std::as_const(l.weight).data(), out};
    tensors.push_back({name + ".weight", type, sizes({in, out}), weight.transposed()});
    vector(name + ".bias", l.bias);
  };
  const auto norm = [&](const std::string& name, const Norm<float>& n) {
    vector(name + ".weight", n.weight);
    vector(name + ".bias", n.bias);
  };
  rows("token_embd.weight", model.wte.weight, type);
  rows("position_embd.weight", model.wpe.weight, GgufType::F32);
  for (std::size_t i = 0; i < model.h.size(); ++i) {
    const std::string block = std::string("blk.").append(std::to_string(i)) + '.';
    norm(block + "attn_norm", model.h[i].ln_1);
    linear(block + "attn_qkv", model.h[i].attn.c_attn);
    linear(block + "attn_output", model.h[i].attn.c_proj);
    norm(block + "ffn_norm", model.h[i].ln_2);
    linear(block + "ffn_up", model.h[i].mlp.c_fc);
    linear(block + "ffn_down", model.h[i].mlp.c_proj);
  }
  norm("output_norm", model.ln_f);
  if (!c.tie_word_embeddings) rows("output.weight", model.lm_head.weight, type);

  constexpr std::uint64_t alignment = 32;
  const auto aligned = [](std::uint64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; };
  detail::GgufHeader header;
  header.number(std::array<char, 4>{'G', 'G', 'U', 'F'});
  header.number(std::uint32_t{3});
  header.number(std::uint64_t{tensors.size()});
  header.number(settings.settings());
  detail::GgufHeader infos;
  std::uint64_t offset = 0;
  for (const detail::GgufTensor& tensor : tensors) {
    infos.text(tensor.name);
    infos.number(static_cast<std::uint32_t>(tensor.sizes.size()));
    for (const std::uint64_t n : tensor.sizes) infos.number(n);
    infos.number(static_cast<std::uint32_t>(tensor.type));
    infos.number(offset);
    offset += aligned(tensor.bytes());
  }

  AtomicFile file(path);
  std::string head = header.bytes() + settings.bytes() + infos.bytes();
  head.resize(aligned(head.size()), '\0');
  file.write(head.data(), head.size());
  for (const detail::GgufTensor& tensor : tensors) {
    std::string bytes;
    std::vector<float> row(static_cast<std::size_t>(tensor.columns()));
    for (Index r = 0; r < tensor.row_count(); ++r) {
      const kernels::MatrixView<float> from = tensor.rows.offset(r, 0);
      for (Index j = 0; j < tensor.columns(); ++j) row[static_cast<std::size_t>(j)] = from.data[j * from.column_stride];
      if (tensor.type == GgufType::F16)
        for (const float x : row)
          check<DataError>(!is_finite(x) || is_finite(static_cast<float>(Float16(x))), where, tensor.name,
                           " has the weight ", x, ", too large for F16: choose another format; nothing was written");
      detail::append_gguf_row(bytes, tensor.type, row);
    }
    bytes.resize(aligned(bytes.size()), '\0');
    file.write(bytes.data(), bytes.size());
  }
  file.commit();
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
