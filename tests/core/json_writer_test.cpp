// JsonObject: members in order, numbers that read back, and what JSON does not have.

#include "gptlite/core/json_writer.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

using namespace gptlite;

TEST_CASE("an object lists its members in the order they were added") {
  CHECK(JsonObject().text() == "{}");
  CHECK(JsonObject().add("step", 3).text() == R"({"step": 3})");
  CHECK(JsonObject().add("dev", JsonObject().add("accuracy", 0.5)).add("step", 3).text() ==
        R"({"dev": {"accuracy": 0.5}, "step": 3})");
  CHECK(JsonObject().add("step", 3).add("loss", 1.5).add("name", "nano").text() ==
        R"({"step": 3, "loss": 1.5, "name": "nano"})");
}

TEST_CASE("the members of another object are added after its own") {
  const JsonObject none, l2 = JsonObject().add("l2", 0.5).add("l1", 2);
  CHECK(JsonObject().add("step", 3).add_members(l2).add("rate", 1).text() ==
        R"({"step": 3, "l2": 0.5, "l1": 2, "rate": 1})");
  CHECK(JsonObject().add_members(l2).text() == R"({"l2": 0.5, "l1": 2})");
  CHECK(JsonObject().add("step", 3).add_members(none).text() == R"({"step": 3})");
}

TEST_CASE("numbers have the fewest digits that read back as the same number") {
  CHECK(JsonObject().add("x", 0.1).text() == R"({"x": 0.1})");
  CHECK(JsonObject().add("x", 0.1F).text() == R"({"x": 0.1})");
  CHECK(JsonObject().add("x", 1.0).text() == R"({"x": 1})");
  CHECK(JsonObject().add("x", 1.0 / 3).text() == R"({"x": 0.3333333333333333})");
  CHECK(JsonObject().add("x", -1e-7).text() == R"({"x": -1e-07})");
  CHECK(JsonObject().add("x", std::numeric_limits<std::int64_t>::min()).text() == R"({"x": -9223372036854775808})");
  CHECK(JsonObject().add("x", std::numeric_limits<std::uint64_t>::max()).text() == R"({"x": 18446744073709551615})");
  for (const double x : {std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min(), 2.0 / 3}) {
    const std::string text = JsonObject().add("x", x).text();
    CHECK(std::strtod(text.c_str() + 6, nullptr) == x);
  }
}

TEST_CASE("truth values are written as such") {
  CHECK(JsonObject().add("yes", true).add("no", false).text() == R"({"yes": true, "no": false})");
}

TEST_CASE("numbers that JSON does not have become null") {
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(JsonObject().add("x", infinity).add("y", -infinity).text() == R"({"x": null, "y": null})");
  CHECK(JsonObject().add("x", std::numeric_limits<float>::quiet_NaN()).text() == R"({"x": null})");
}

TEST_CASE("quotes and backslashes and control characters are escaped in keys and values") {
  CHECK(JsonObject().add("a\"b", "c\\d").text() == R"({"a\"b": "c\\d"})");
  CHECK(JsonObject().add("text", "a\nb\tc\x01\x1F").text() == R"({"text": "a\u000ab\u0009c\u0001\u001f"})");
  CHECK(JsonObject().add("text", std::string("\0", 1)).text() == R"({"text": "\u0000"})");
  CHECK(JsonObject().add("text", "\xC3\xA4 \x7F").text() == "{\"text\": \"\xC3\xA4 \x7F\"}");
}
