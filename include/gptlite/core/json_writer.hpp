#pragma once
// JsonObject: writes results and metrics as JSON, without a library that parses it.

#include <charconv>
#include <concepts>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "gptlite/core/finite.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// A JSON object written key by key: JsonObject().add("step", 3).add("loss", 1.5).text() is {"step": 3, "loss": 1.5}.
class JsonObject {
 public:
  /// Adds a number with the shortest digits that read back as the same number; a number that is not finite becomes
  /// null.
  template <class Number>
  requires(std::integral<Number> && !std::same_as<Number, bool>) || std::floating_point<Number> JsonObject& add(
                                                                        std::string_view key, Number value) {
    return put(key, spelled(value));
  }
  /// Adds a list of numbers.
  template <class Number>
  JsonObject& add(std::string_view key, std::span<const Number> values) {
    std::string list = "[";
    for (const Number value : values) list += (list.size() > 1 ? ", " : "") + spelled(value);
    return put(key, list + ']');
  }
  JsonObject& add(std::string_view key, bool value) { return put(key, value ? "true" : "false"); }
  JsonObject& add(std::string_view key, std::string_view value) { return put(key, quoted(value)); }
  JsonObject& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
  JsonObject& add(std::string_view key, const JsonObject& value) { return put(key, value.text()); }
  /// Appends the members of another object.
  JsonObject& add_members(const JsonObject& other) {
    if (!members_.empty() && !other.members_.empty()) members_ += ", ";
    members_ += other.members_;
    return *this;
  }

  std::string text() const { return "{" + members_ + "}"; }

 private:
  template <class Number>
  static std::string spelled(Number value) {
    if constexpr (std::floating_point<Number>) {
      if (!is_finite(value)) return "null";
    }
    char digits[64];
    return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
  }
  JsonObject& put(std::string_view key, std::string_view value) {
    if (!members_.empty()) members_ += ", ";
    members_ += quoted(key);
    members_ += ": ";
    members_ += value;
    return *this;
  }
  static std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
        out += escape;
      } else {
        out += c;
      }
    }
    return out + '"';
  }

  std::string members_;
};

}  // namespace gptlite::inline GPTLITE_ABI
