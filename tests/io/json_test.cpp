// JSON: values are read, and what is not JSON, or says two things, is refused with its place.

#include "gptlite/io/json.hpp"

#include <doctest/doctest.h>

#include <string>

#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;
using nlohmann::json;

namespace {

std::string refusal(const std::string& text) {
  return message_of<DataError>([&] { io::parse_json(text, "f.json"); });
}

std::string invalid_at(int byte) { return "[json] f.json: invalid at byte " + std::to_string(byte); }

}  // namespace

TEST_CASE("a value is emptied whatever it holds") {
  for (const char* text :
       {"[]", "{}", "3", "null", "\"text\"", "[[1,[2,{}]],{\"a\":{\"b\":[null,[]]},\"c\":[{}]},[[[[7]]]]]"}) {
    nlohmann::json value = nlohmann::json::parse(text);
    io::detail::empty_json(value);
    CHECK((!value.is_structured() || value.empty()));
  }
  nlohmann::json wide;
  for (int i = 0; i < 10'000; ++i) wide[std::to_string(i)] = {{"a", {1, 2}}};
  { const io::detail::JsonScope scope(wide); }
  CHECK(wide.empty());
}

TEST_CASE("every kind of value is read, at any place") {
  for (const char* text :
       {"null", "true", "-3", "18446744073709551615", "0.5", R"("a\n\u20ac\ud83d\ude00")", "[]", "{}",
        "[[1,[2]],{\"a\":[3]},4]", R"({"a":{"b":[1,{"c":2}],"d":3},"e":[],"f":{}})", " [1 ,\n\t2\r] "}) {
    CHECK(io::parse_json(text, "f.json") == json::parse(text));
  }
  CHECK(io::parse_json("1", "").is_number_unsigned());
  CHECK(io::parse_json("-0", "").is_number_integer());
}

TEST_CASE("what is not JSON is refused with the byte") {
  CHECK(refusal("") == invalid_at(0));
  CHECK(refusal("{\"a\":x}") == invalid_at(5));
  CHECK(refusal("[1,2") == invalid_at(4));
  CHECK(refusal("{} x") == invalid_at(3));
  CHECK(refusal("[1,]") == invalid_at(3));
  CHECK(refusal("[NaN]") == invalid_at(1));
  CHECK(refusal("[1e400]") == invalid_at(5));
  CHECK(refusal("[1]//") == invalid_at(3));
  CHECK(refusal("\xEF\xBB\xBF{}") == invalid_at(0));
  CHECK(refusal(std::string("[1]\0[2]", 7)) == invalid_at(3));
}

TEST_CASE("text that is not UTF-8 is refused with the byte") {
  CHECK(refusal("[\"ab\xFF\"]") == invalid_at(4));
  CHECK(refusal("[\"\xC0\x80\"]") == invalid_at(2));
  CHECK(refusal("[\"\xED\xA0\x80\"]") == invalid_at(3));
  CHECK(refusal("[\"\\ud800\"]") == invalid_at(8));
}

TEST_CASE("a key that stands twice is refused, also in another spelling") {
  CHECK(refusal(R"({"a":1,"b":2,"a":1})") == R"([json] f.json: duplicate key "a")");
  CHECK(refusal(R"([{"x":{"\u0061":1,"a":2}}])") == R"([json] f.json: duplicate key "a")");
  CHECK(refusal(R"({"a":{"a":1},"b":{"a":1}})") == "no exception");
  CHECK(message_of<DataError>([] {
          io::parse_json(R"({"a":1,"a":1})", "m", {.where = "loader", .text = "header ", .key = "tensor"});
        }) == R"([loader] m: duplicate tensor "a")");
  CHECK(message_of<DataError>([] {
          io::parse_json(R"({"a":{"b":1,"b":1}})", "m", {.where = "loader", .text = "header ", .key = "tensor"});
        }) == R"([loader] m: duplicate key "b")");
}

TEST_CASE("127 levels of nesting are read, more are refused") {
  const auto nested = [](int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += i % 2 == 0 ? "[" : "{\"a\":";
    text += "1";
    for (int i = depth; i-- > 0;) text += i % 2 == 0 ? "]" : "}";
    return text;
  };
  CHECK(refusal(nested(127)) == "no exception");
  CHECK(refusal(nested(128)) == "[json] f.json: nested deeper than 127");
  CHECK(refusal(std::string(10000000, '[')) == "[json] f.json: nested deeper than 127");
}

TEST_CASE("a file is read, and named in errors") {
  const TemporaryFolder folder;
  CHECK(io::read_json(folder.file("good.json", R"({"vocab_size": 65})")).at("vocab_size") == 65);
  const std::string bad = folder.file("bad.json", "{\"vocab_size\": 65");
  CHECK(message_of<DataError>([&] { io::read_json(bad); }) == "[json] " + bad + ": invalid at byte 17");
  const std::string missing = folder.file("missing.json");
  CHECK(message_of<DataError>([&] { io::read_json(missing); }) ==
        "[read_file] " + missing + ": cannot read: No such file or directory");
}

TEST_CASE("texts are quoted for messages on one line") {
  CHECK(io::json_string("a\"b\n\xE2\x82\xAC") == "\"a\\\"b\\n\xE2\x82\xAC\"");
  CHECK(io::json_string("a\xFF") == "\"a\xEF\xBF\xBD\"");
}
