#pragma once
// SentenceEncoders from the folders of sentence-transformers: a BERT with modules.json, which says how it is pooled.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/embed/sentence_encoder.hpp"
#include "gptlite/io/bert_folder.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

namespace detail {
/// Reads the pooling of a module's config.json.
inline Pooling read_pooling(const std::string& path) {
  const ModelConfigFile file(path, "load_sentence_encoder");
  file.check_known(pooling_keys);
  if (file.has("pooling_mode")) {
    const std::string name = file.text("pooling_mode");
    const auto pooling = try_parse<Pooling>(name);
    file.expect(pooling.has_value(), "\"pooling_mode\" is \"", name, "\", which is not supported, only mean, cls, max");
    return *pooling;
  }
  const bool mean = file.flag_or("pooling_mode_mean_tokens", false),
             max = file.flag_or("pooling_mode_max_tokens", false), cls = file.flag_or("pooling_mode_cls_token", false);
  file.expect(mean + max + cls == 1, "exactly one of mean, cls and max pooling must be chosen");
  return mean ? Pooling::mean : max ? Pooling::max : Pooling::cls;
}
}  // namespace detail

/// Loads a sentence encoder: `auto encoder = io::load_sentence_encoder("all-MiniLM-L6-v2");` modules.json says how the
/// tokens' states become a vector and whether it is normalized; a folder without it is pooled by the mean, not
/// normalized, as sentence-transformers does. Throws DataError, with the path, as load_bert does, and for a module
/// other than Transformer, Pooling and Normalize, of which the encoder would give other vectors.
template <class T = float>
SentenceEncoder<T> load_sentence_encoder(const std::string& folder) {
  constexpr const char* where = "load_sentence_encoder";
  SentenceEncoderOptions options{.normalize = false};
  if (const std::string path = folder + "/tokenizer_config.json"; path_exists(path)) {
    const detail::ModelConfigFile file(path, where);
    // Without a limit it is a number like 1e30.
    const double length = file.number_or("model_max_length", 0);
    file.expect(!file.has("model_max_length") || length >= 2, "\"model_max_length\" must be 2 or more, not ", length);
    if (length >= 2 && length <= 1e9) options.max_length = static_cast<Index>(length);
  }
  if (const std::string path = folder + "/sentence_bert_config.json"; path_exists(path)) {
    const detail::ModelConfigFile file(path, where);
    file.check_known(detail::sentence_keys);
    if (file.has("max_seq_length")) options.max_length = file.required_size("max_seq_length");
    file.expect(!file.has("max_seq_length") || options.max_length >= 2, "\"max_seq_length\" must be 2 or more, not ",
                options.max_length);
  }
  if (const std::string path = folder + "/config_sentence_transformers.json"; path_exists(path))
    detail::ModelConfigFile(path, where).check_known(detail::encoder_keys);
  if (const std::string path = folder + "/modules.json"; path_exists(path)) {
    const nlohmann::json modules = read_json(path);
    const auto expect = [&](bool condition, const auto&... parts) {
      check<DataError>(condition, where, path, ": ", parts...);
    };
    expect(modules.is_array(), "a list of modules is expected");
    std::vector<std::string> kinds;
    for (const nlohmann::json& module : modules) {
      const auto text = [&](const char* key) {
        expect(module.is_object() && module.contains(key) && module.at(key).is_string(), "a module has no \"", key,
               '"');
        return module.at(key).get<std::string>();
      };
      const std::string type = text("type"), place = text("path");
      kinds.push_back(type.substr(type.rfind('.') + 1));
      expect(place.find("..") == place.npos, "\"path\" must be a folder inside, not ", json_string(place));
      if (kinds.back() == "Pooling")
        options.pooling = detail::read_pooling(folder + '/' + place + "/config.json");
      else if (kinds.back() == "Normalize")
        options.normalize = true;
      else
        expect(kinds.back() == "Transformer" && place.empty(), "the module ", json_string(type), " at ",
               json_string(place), " is not supported, only Transformer, Pooling and Normalize");
    }
    const std::vector<std::string> whole{"Transformer", "Pooling", "Normalize"}, plain{"Transformer", "Pooling"};
    expect(kinds == whole || kinds == plain,
           "the modules must be Transformer, Pooling and, if vectors are normalized, ", "Normalize, in this order");
  }
  auto [model, tokenizer] = load_bert<T>(folder);
  for (const char* token : {"[CLS]", "[SEP]"})
    check<DataError>(tokenizer.token_to_id(token).has_value(), where, folder, ": the tokenizer has no ", token);
  check<DataError>(model.config.block_size >= 2, where, folder, ": \"max_position_embeddings\" must be 2 or more");
  options.max_length = std::min(options.max_length, model.config.block_size);
  return SentenceEncoder<T>(std::move(model), std::move(tokenizer), options);
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
