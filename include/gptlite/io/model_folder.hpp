#pragma once
// A model and its tokenizer as one folder of Hugging Face's form.

#include <optional>
#include <string>

#include "gptlite/io/huggingface.hpp"
#include "gptlite/io/tokenizer_files.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Throws DataError if a tokenizer of the folder gives tokens that its model does not have.
inline void check_vocabulary(const std::string& folder, const text::Tokenizer& tokenizer, const GPTConfig& config) {
  check<DataError>(tokenizer.vocab_size() <= config.vocab_size, "check_vocabulary", folder, ": the tokenizer has ",
                   tokenizer.vocab_size(), " tokens, the model ", config.vocab_size);
}

/// Writes what load_gpt, load_tokenizer and transformers open. `dtype`: F32, BF16 or F16, what weights are rounded to.
template <class T>
void save_model(const std::string& folder, GPT<T>& model, const text::Tokenizer& tokenizer,
                std::optional<DType> dtype = std::nullopt) {
  check_vocabulary(folder, tokenizer, model.config);
  save_gpt(folder, model, {.dtype = dtype, .end_of_text = tokenizer.end_of_text()});
  save_tokenizer(folder, tokenizer);
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
