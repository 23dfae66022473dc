#pragma once
// A model and its tokenizer in one folder of Hugging Face's form.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/io/gpt_folder.hpp"
#include "gptlite/io/task_readme.hpp"
#include "gptlite/io/tokenizer_folder.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Throws DataError if the tokenizer of a folder has more tokens than its model.
inline void check_vocabulary(const std::string& folder, const text::Tokenizer& tokenizer, const GPTConfig& config) {
  check<DataError>(tokenizer.vocab_size() <= config.vocab_size, "check_vocabulary", folder, ": the tokenizer has ",
                   tokenizer.vocab_size(), " tokens, the model ", config.vocab_size);
}

namespace detail {
/// Names of the files of a model and its tokenizer, in the order in which a FolderUpdate puts them in place. README.md
/// is among them if it was written with a model.
inline std::vector<std::string> folder_file_names(const std::string& folder) {
  std::vector<std::string> names = tokenizer_file_names();
  if (has_no_other_readme(folder)) names.emplace_back("README.md");
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
/// evaluation mode. Embedding rows without a token are never drawn (GPTConfig::unused_rows), and their ids decode to
/// nothing. A token without a row is an error once it is used. Throws DataError, with the path, as load_gpt and
/// load_tokenizer do, and if the folder holds files of two saves of save_model.
template <class T = float>
ModelFolder<T> load_model(const std::string& folder) {
  text::Tokenizer tokenizer = load_tokenizer(folder);  // first: fails at once if there is none
  detail::OpenGpt files(folder);
  ModelFolder<T> loaded{detail::read_gpt<T>(files), std::move(tokenizer)};
  detail::check_saved_together(files, loaded.tokenizer);
  GPTConfig& config = loaded.model.config;
  config.unused_rows = std::max<Index>(config.vocab_size - loaded.tokenizer.vocab_size(), 0);
  loaded.tokenizer.set_padded_size(loaded.model.config.vocab_size);
  return loaded;
}

/// Writes a folder that load_model and transformers open; a model and a tokenizer in it are replaced whole or not at
/// all (FolderUpdate). If the model does not say what its texts end with (GPTConfig::special_tokens), they begin and
/// end with the tokenizer's end of text. dtype: F32, BF16 or F16, the format that weights are rounded to; nullopt: as
/// they are. Throws as save_gpt and save_tokenizer do, and DataError if the tokenizer has more tokens than the model.
template <class T>
void save_model(const std::string& folder, const GPT<T>& model, const text::Tokenizer& tokenizer,
                std::optional<DType> dtype = std::nullopt) {
  check_vocabulary(folder, tokenizer, model.config);
  GPT<T> named = model;  // a handle on the same weights
  if (!named.config.special_tokens) {
    named.config.special_tokens.emplace();
    if (const auto end = tokenizer.end_of_text()) named.config.special_tokens = {.bos = end, .eos = {*end}};
  }
  const detail::ModelFiles files =
      detail::gpt_files(folder, named, {.dtype = dtype}, detail::tokens_checksum(tokenizer));
  const detail::TokenizerFiles tokenizer_files = detail::tokenizer_files(tokenizer);
  FolderUpdate update(folder, detail::folder_file_names(folder));
  files.write(update.staging());
  detail::write_tokenizer(update.staging(), tokenizer_files);
  update.commit();
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
