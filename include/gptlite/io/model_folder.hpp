#pragma once
// A model and its tokenizer in one folder of Hugging Face's form.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/io/gpt_folder.hpp"
#include "gptlite/io/tokenizer_folder.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Throws DataError if the tokenizer of a folder has more tokens than its model.
inline void check_vocabulary(const std::string& folder, const text::Tokenizer& tokenizer, const GPTConfig& config) {
  check<DataError>(tokenizer.vocab_size() <= config.vocab_size, "check_vocabulary", folder, ": the tokenizer has ",
                   tokenizer.vocab_size(), " tokens, the model ", config.vocab_size);
}

namespace detail {
/// Names of the files of a model and its tokenizer, in the order in which a FolderUpdate puts them in place.
inline std::vector<std::string> folder_file_names() {
  std::vector<std::string> names = tokenizer_file_names();
  for (const std::string& name : model_file_names()) names.push_back(name);
  return names;
}
/// Throws DataError if the weights in a folder were saved with a tokenizer of other tokens.
inline void check_saved_together(const OpenGpt& files, const text::Tokenizer& tokenizer) {
  const std::string saved = files.weights.metadata(saved_tokenizer_key);
  check<DataError>(
      saved.empty() || saved == tokens_checksum(tokenizer), "load_model", files.folder,
      ": model.safetensors was saved with another tokenizer than the one beside it: the folder holds files "
      "of two models");
}
}  // namespace detail

/// A model and its tokenizer.
template <class T>
struct ModelFolder {
  GPT<T> model;
  text::Tokenizer tokenizer;
};

/// Loads the model and the tokenizer in a folder: `auto [model, tokenizer] = load_model("gpt2");` The model is in
/// evaluation mode; ids of embedding rows without a token decode to nothing. Throws DataError, with the path, as
/// load_gpt and load_tokenizer do, if the tokenizer has more tokens than the model, and if the folder holds files of
/// two saves of save_model.
template <class T = float>
ModelFolder<T> load_model(const std::string& folder) {
  text::Tokenizer tokenizer = load_tokenizer(folder);  // first: fails at once if there is none
  detail::OpenGpt files(folder);
  ModelFolder<T> loaded{detail::read_gpt<T>(files), std::move(tokenizer)};
  check_vocabulary(folder, loaded.tokenizer, loaded.model.config);
  detail::check_saved_together(files, loaded.tokenizer);
  loaded.tokenizer.set_padded_size(loaded.model.config.vocab_size);
  return loaded;
}

/// Writes a folder that load_model and transformers open; a model and a tokenizer in it are replaced whole or not at
/// all (FolderUpdate). dtype: F32, BF16 or F16, the format that weights are rounded to; nullopt: as they are. Throws as
/// save_gpt and save_tokenizer do, and DataError if the tokenizer has more tokens than the model.
template <class T>
void save_model(const std::string& folder, const GPT<T>& model, const text::Tokenizer& tokenizer,
                std::optional<DType> dtype = std::nullopt) {
  check_vocabulary(folder, tokenizer, model.config);
  const detail::ModelFiles files = detail::gpt_files(
      folder, model, {.dtype = dtype, .end_of_text = tokenizer.end_of_text()}, detail::tokens_checksum(tokenizer));
  const detail::TokenizerFiles tokenizer_files = detail::tokenizer_files(tokenizer);
  FolderUpdate update(folder, detail::folder_file_names());
  files.write(update.staging());
  detail::write_tokenizer(update.staging(), tokenizer_files);
  update.commit();
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
