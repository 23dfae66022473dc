#pragma once
// What the readers of tokenizers' files share: a JSON file with its path for messages, and the tokens of
// tokenizer.json.

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/io/json.hpp"
#include "gptlite/io/known_tokenizer_keys.hpp"
#include "gptlite/text/tokenizer.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {
namespace detail {

using Json = nlohmann::json;

/// JSON of a file, and its path for messages.
struct JsonFile {
  Json json;
  std::string path;

  template <class... Parts>
  void expect(bool condition, const Parts&... parts) const {
    check<DataError>(condition, "load_tokenizer", path, ": ", parts...);
  }
  /// Returns a member of an object in the file. Throws DataError if it is missing or not of the type: "object",
  /// "array", "string" or "number".
  const Json& member(const Json& object, const char* key, std::string_view type) const {
    expect(object.is_object() && object.contains(key), '"', key, "\" is missing");
    expect(object.at(key).type_name() == type, '"', key, "\" must be of type ", type, ", not ",
           object.at(key).type_name());
    return object.at(key);
  }
  /// Throws DataError unless the member is absent or one of `values`: any other value would give other tokens than
  /// here.
  void require_one_of(const Json& object, const char* key, std::initializer_list<Json> values) const {
    if (!object.is_object() || !object.contains(key)) return;
    const Json& value = object.at(key);
    expect(std::find(values.begin(), values.end(), value) != values.end(), '"', key, "\" is ", value.dump(),
           ", which is not supported");
  }
  /// Throws DataError for a key of an object in the file that is not known or is refused.
  void check_known(const Json& object, const KnownKeys& known) const {
    check_keys(object, known, "load_tokenizer", path);
  }
  /// The "type" of a member that is an object; empty if it is null or missing.
  std::string type_of(const Json& object, const char* key) const {
    if (!object.is_object() || !object.contains(key) || object.at(key).is_null()) return "";
    return member(object.at(key), "type", "string").get<std::string>();
  }
};

/// Tokens in the order of their ids. `vocabulary` is an object of ids by token.
inline std::vector<std::string> tokens_by_id(const Json& vocabulary, const JsonFile& file) {
  std::vector<std::string> tokens(vocabulary.size());
  std::vector<bool> taken(vocabulary.size());
  for (const auto& [token, id] : vocabulary.items()) {
    file.expect(id.is_number_unsigned(), "the id of \"", token, "\" is not a whole number");
    const auto at = id.get<std::uint64_t>();
    file.expect(at < tokens.size(), "ids have a gap: \"", token, "\" is ", at, " of ", tokens.size(), " tokens");
    file.expect(!taken[at], '"', tokens[at], "\" and \"", token, "\" both have the id ", at);
    tokens[at] = token;
    taken[at] = true;
  }
  return tokens;
}

/// Makes a tokenizer of type T from the contents of a file. Adds the path to a DataError of its constructor.
template <class T, class... Parts>
text::Tokenizer made(const JsonFile& file, Parts&&... parts) {
  try {
    return T(std::forward<Parts>(parts)...);
  } catch (const DataError& error) {
    raise<DataError>("load_tokenizer", file.path, ": ", error.what());
  }
}

/// The tokens of a tokenizer.json.
struct ReadTokens {
  std::vector<std::string> tokens;             // in the order of their ids
  std::vector<std::string> special, ordinary;  // as text::Vocabulary takes them
  Json ids;                                    // by token
};
inline ReadTokens read_tokens(const JsonFile& file) {
  ReadTokens read;
  read.ids = file.member(file.member(file.json, "model", "object"), "vocab", "object");
  const bool normalizes = file.type_of(file.json, "pre_tokenizer") == "BertPreTokenizer";
  if (file.json.contains("added_tokens")) {
    for (const Json& added : file.member(file.json, "added_tokens", "array")) {
      file.check_known(added, added_token_keys);
      if (normalizes) file.require_one_of(added, "normalized", {false});
      read.special.push_back(file.member(added, "content", "string").get<std::string>());
      if (added.value("special", Json()) == false) read.ordinary.push_back(read.special.back());
      const Json& id = file.member(added, "id", "number");
      const auto known = read.ids.emplace(read.special.back(), id).first;
      file.expect(*known == id, '"', read.special.back(), "\" has two ids, ", known->dump(), " and ", id.dump());
    }
  }
  read.tokens = tokens_by_id(read.ids, file);
  return read;
}

}  // namespace detail
}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
