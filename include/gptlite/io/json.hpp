#pragma once
// Strict parser for untrusted JSON: rejects duplicate keys, invalid UTF-8 and nesting deeper than 127.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/error.hpp"
#include "gptlite/core/text_file.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Returns a text as a JSON string, in quotes. Invalid UTF-8 becomes U+FFFD.
inline std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Words that the errors of parse_json use.
struct JsonTerms {
  std::string_view where = "json";  ///< the function, in brackets
  std::string_view text;            ///< the part of the file that is JSON, if not all: "header "
  std::string_view key = "key";     ///< word for a key of the outermost object
};

namespace detail {

/// Empties a value without allocating. nlohmann's own destructor allocates, and ends the program where there is no
/// memory.
inline void empty_json(nlohmann::json& root) noexcept {
  while (root.is_structured() && !root.empty()) {
    nlohmann::json* holder = &root;  // of the last value that has no members
    const auto last = [](nlohmann::json& value) -> nlohmann::json& {
      return value.is_array() ? value.get_ref<nlohmann::json::array_t&>().back()
                              : std::prev(value.get_ref<nlohmann::json::object_t&>().end())->second;
    };
    while (last(*holder).is_structured() && !last(*holder).empty()) holder = &last(*holder);
    if (holder->is_array()) {
      holder->get_ref<nlohmann::json::array_t&>().pop_back();
    } else {
      auto& members = holder->get_ref<nlohmann::json::object_t&>();
      members.erase(std::prev(members.end()));
    }
  }
}
/// Empties a value so at the end of its scope, in which memory may run out.
class JsonScope {
 public:
  explicit JsonScope(nlohmann::json& value) : value_(value) {}
  ~JsonScope() { empty_json(value_); }
  JsonScope(const JsonScope&) = delete;
  JsonScope& operator=(const JsonScope&) = delete;

 private:
  nlohmann::json& value_;
};

// Builds the value from nlohmann's events. Its own builder silently keeps one of two equal keys.
class JsonBuilder {
 public:
  JsonBuilder(std::string_view path, const JsonTerms& terms) : path_(path), terms_(terms) {}

  ~JsonBuilder() { empty_json(root); }
  JsonBuilder(const JsonBuilder&) = delete;
  JsonBuilder& operator=(const JsonBuilder&) = delete;

  nlohmann::json root;

  bool null() { return put(nullptr); }
  bool boolean(bool value) { return put(value); }
  bool number_integer(std::int64_t value) { return put(value); }
  bool number_unsigned(std::uint64_t value) { return put(value); }
  bool number_float(double value, const std::string&) { return put(value); }
  bool string(std::string& value) { return put(std::move(value)); }
  bool binary(nlohmann::json::binary_t& value) { return put(std::move(value)); }
  bool start_object(std::size_t) { return open(nlohmann::json::object()); }
  bool start_array(std::size_t) { return open(nlohmann::json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    const auto [member, added] = open_.back()->emplace(std::move(name), nullptr);
    check<DataError>(added, terms_.where, path_, ": duplicate ", open_.size() == 1 ? terms_.key : "key", ' ',
                     json_string(member.key()));
    member_ = &*member;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) {
    invalid(position - 1);  // nlohmann counts from 1
  }

  [[noreturn]] void invalid(std::size_t byte) const {
    raise<DataError>(terms_.where, path_, ": ", terms_.text, "invalid at byte ", byte);
  }

 private:
  // The limit of serde_json, and so of most tools that read the same files.
  static constexpr std::size_t max_depth = 127;

  nlohmann::json* place(nlohmann::json&& value) {
    if (!open_.empty() && open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    nlohmann::json* const target = open_.empty() ? &root : member_;
    *target = std::move(value);
    return target;
  }
  bool put(nlohmann::json&& value) {
    place(std::move(value));
    return true;
  }
  bool open(nlohmann::json&& container) {
    check<DataError>(open_.size() < max_depth, terms_.where, path_, ": ", terms_.text, "nested deeper than ",
                     max_depth);
    open_.push_back(place(std::move(container)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view path_;
  JsonTerms terms_;
  std::vector<nlohmann::json*> open_;  // objects and arrays around the current place; an open one does not move
  nlohmann::json* member_ = nullptr;   // value of the last key of the innermost object
};

}  // namespace detail

/// Parses a JSON text, which errors call `path`. Throws DataError "path: invalid at byte N" (counted from 0) for a text
/// that is not JSON in UTF-8, and DataError for duplicate keys in one object or nesting deeper than 127.
inline nlohmann::json parse_json(std::string_view text, std::string_view path, const JsonTerms& terms = {}) {
  detail::JsonBuilder builder(path, terms);
  // nlohmann accepts two things that JSON does not have: a byte order mark, and a zero byte as the end.
  if (text.starts_with("\xEF\xBB\xBF")) builder.invalid(0);
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) builder.invalid(zero);
  nlohmann::json::sax_parse(text, &builder);
  return std::move(builder.root);
}

/// Reads and parses a JSON file. Throws DataError as read_file and parse_json do.
inline nlohmann::json read_json(const std::string& path) { return parse_json(io::read_file(path), path); }

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
