// The strict JSON parser: what it accepts, nlohmann-json accepts with the same value, what it refuses, nlohmann-json
// refuses too or is stricter here on purpose, and a value survives a round trip.

#include "gptlite/io/json.hpp"

#include <string>

#include "fuzz/fuzz.hpp"

namespace fuzz {

using namespace gptlite;

void json(std::string_view bytes) {
  std::string refusal;
  try {
    const nlohmann::json value = io::parse_json(bytes, "f");
    always(nlohmann::json::parse(bytes) == value);
    const std::string text = value.dump();
    always(io::parse_json(text, "f") == value && text == io::parse_json(text, "f").dump());
  } catch (const DataError& error) {
    refusal = error.what();
  }
  if (!refusal.empty() && nlohmann::json::accept(bytes)) {
    const bool on_purpose = refusal.find("duplicate key") != refusal.npos ||
                            refusal.find("nested deeper") != refusal.npos || bytes.starts_with("\xEF\xBB\xBF") ||
                            bytes.find('\0') != bytes.npos;
    always(on_purpose);
  }
  // Any bytes become a JSON string.
  always(io::parse_json(io::json_string(bytes), "f").is_string());
}

}  // namespace fuzz
