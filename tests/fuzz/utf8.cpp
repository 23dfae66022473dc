// UTF-8, numbers and names: what every text format is made of.

#include "gptlite/core/utf8.hpp"

#include <cmath>
#include <cstdint>
#include <string>

#include "fuzz/fuzz.hpp"
#include "gptlite/core/json_writer.hpp"
#include "gptlite/core/parse_number.hpp"
#include "gptlite/io/json.hpp"
#include "gptlite/models/task.hpp"

namespace fuzz {

using namespace gptlite;

namespace {

// UTF-8 is what decodes to code points that encode to the same bytes.
void check_utf8(std::string_view bytes) {
  std::string again;
  const bool well_formed = accepted([&] {
    for (const char32_t point : text::decode_utf8(bytes)) {
      always(point < 0xD800 || (point >= 0xE000 && point <= 0x10FFFF));
      text::append_utf8(again, point);
    }
  });
  always(!well_formed || again == bytes);
  std::size_t at = 0;
  while (at < bytes.size()) {
    const text::Utf8Sequence sequence = text::utf8_sequence(bytes, at);
    always(sequence.length > 0 && at + sequence.length <= bytes.size());
    always(sequence.well_formed || (!well_formed && sequence.point == U'\uFFFD'));
    at += sequence.length;
  }
  // nlohmann-json's own decoder agrees, and what is written without it is read by it.
  const std::string quoted = JsonObject().add("", bytes).text();
  always(nlohmann::json::accept(quoted) == well_formed);
  if (well_formed) always(nlohmann::json::parse(quoted)[""].get_ref<const std::string&>() == bytes);
}

template <class Number>
void check_number(std::string_view bytes) {
  Number number = 0, again = 0;
  if (!parse_number(bytes, number)) return;
  if constexpr (std::is_floating_point_v<Number>) {
    if (std::isnan(number)) return;
  }
  const std::string digits = JsonObject().add("", number).text();  // {"": 3}
  if (digits.ends_with("null}")) return;                           // infinity
  always(parse_number(digits.substr(5, digits.size() - 6), again) && again == number);
}

}  // namespace

void utf8(std::string_view bytes) {
  check_utf8(bytes);
  check_number<std::int64_t>(bytes);
  check_number<double>(bytes);
  const auto task = try_parse<Task>(bytes);
  if (task) always(name_of(*task) == bytes);
  if (!task && bytes.size() < 16) always(!accepted([&] { parse<Task>(bytes); }));
}

}  // namespace fuzz
