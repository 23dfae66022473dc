// The strict JSON parser: what it accepts, nlohmann-json accepts too, with the same value, and it survives a round
// trip.

#include "gptlite/io/json.hpp"

#include "fuzz/fuzz.hpp"

namespace fuzz {

using namespace gptlite;

void json(std::string_view bytes) {
  accepted([&] {
    const nlohmann::json value = io::parse_json(bytes, "f");
    always(nlohmann::json::accept(bytes));
    always(nlohmann::json::parse(bytes) == value);
    always(io::parse_json(value.dump(), "f") == value);
  });
  io::json_string(bytes);
}

}  // namespace fuzz
