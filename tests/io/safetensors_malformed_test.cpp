// Malformed safetensors files: each is refused when it is opened, with what is wrong.

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "gptlite/io/safetensors.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

// What opening a file of these bytes says after its path.
std::string refusal_of_bytes(const std::string& bytes) {
  const TemporaryFolder folder;
  const std::string path = folder.file("x", bytes), start = "[safetensors] " + path + ": ";
  const std::string message = message_of<DataError>([&] { io::SafetensorsFile file(path); });
  return message.starts_with(start) ? message.substr(start.size()) : message;
}

std::string with_length(std::uint64_t length, const std::string& rest) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(length >> 8 * i & 0xFF));
  return bytes + rest;
}

std::string refusal(const std::string& header, std::size_t data = 0) {
  return refusal_of_bytes(with_length(header.size(), header + std::string(data, 'x')));
}

std::string tensor(const std::string& name, const std::string& shape, const std::string& offsets,
                   const std::string& dtype = "F32") {
  return std::string(1, '"') + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
         offsets + '}';
}
// A header of one tensor x.
std::string one(const std::string& shape, const std::string& offsets, const std::string& dtype = "F32") {
  return std::string(1, '{') + tensor("x", shape, offsets, dtype) + '}';
}

const std::string accepted = "no exception";

}  // namespace

TEST_CASE("files too short for their header") {
  CHECK(refusal_of_bytes("") == "too short: 0 bytes, the header length needs 8");
  CHECK(refusal_of_bytes("1234567") == "too short: 7 bytes, the header length needs 8");
  CHECK(refusal_of_bytes(with_length(100, "{}")) == "header claims 100 bytes, the file holds 2 (incomplete download?)");
  CHECK(refusal_of_bytes(with_length(100000000, "{}")) ==
        "header claims 100000000 bytes, the file holds 2 (incomplete download?)");
  CHECK(refusal_of_bytes(with_length(100000001, "{}")) == "header length 100000001 exceeds the limit 100000000");
  CHECK(refusal_of_bytes(with_length(UINT64_MAX, "{}")) ==
        "header length 18446744073709551615 exceeds the limit 100000000");
}

TEST_CASE("headers that are not JSON, or another JSON") {
  CHECK(refusal("") == "header invalid at byte 0");
  CHECK(refusal("{\"x\":x}") == "header invalid at byte 5");
  CHECK(refusal("{\"\xFF\":1}") == "header invalid at byte 2");
  CHECK(refusal(std::string("{}\0", 3)) == "header invalid at byte 2");
  CHECK(refusal(std::string(1000000, '[')) == "header nested deeper than 127");
  CHECK(refusal("\xEF\xBB\xBF{}") == "header invalid at byte 0");
  CHECK(refusal(R"({"\ud800":1})") == "header invalid at byte 8");
  CHECK(refusal("{\"\xED\xA0\x80\":1}") == "header invalid at byte 3");
  CHECK(refusal(one("[1e999]", "[0,4]"), 4) == "header invalid at byte 33");
  CHECK(refusal("[]") == "header is not a JSON object");
  CHECK(refusal("  {} ") == accepted);
}

TEST_CASE("names that stand twice") {
  const std::string x = tensor("x", "[1]", "[0,4]");
  CHECK(refusal('{' + x + ',' + x + '}', 4) == "duplicate tensor \"x\"");
  CHECK(refusal('{' + x + ',' + tensor("\\u0078", "[1]", "[4,8]") + '}', 8) == "duplicate tensor \"x\"");
  CHECK(refusal(R"({"x":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4) ==
        "duplicate key \"dtype\"");
  CHECK(refusal(R"({"__metadata__":{"a":"b","a":"b"}})") == "duplicate key \"a\"");
}

TEST_CASE("metadata of another kind than texts") {
  const std::string wrong = "__metadata__ must give each name a text";
  CHECK(refusal(R"({"__metadata__":{"a":1}})") == wrong);
  CHECK(refusal(R"({"__metadata__":[]})") == wrong);
  CHECK(refusal(R"({"__metadata__":"a"})") == wrong);
  CHECK(refusal(R"({"__metadata__":null})") == accepted);
  CHECK(refusal(R"({"__metadata__":{}})") == accepted);
}

TEST_CASE("tensors that are not described") {
  const std::string wrong =
      R"(tensor "x": expected {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, with its own values)";
  for (const char* value : {"null", "1", "[\"F32\",[1],[0,4]]", "{}", R"({"shape":[1],"data_offsets":[0,4]})",
                            R"({"dtype":"F32","data_offsets":[0,4]})", R"({"dtype":"F32","shape":[1]})",
                            R"({"dtype":1,"shape":[1],"data_offsets":[0,4]})"}) {
    CHECK(refusal(std::string("{\"x\":") + value + '}', 4) == wrong);
  }
  for (const char* shape : {"1", "null", "[1.0]", "[-1]", "[-0]", "[\"1\"]", "[18446744073709551616]", "{\"a\":1}"}) {
    CHECK(refusal(one(shape, "[0,4]"), 4) == wrong);
  }
  for (const char* offsets : {"[0]", "[0,4,8]", "[-1,3]", "[0,4.0]", "null", "{\"a\":0,\"b\":4}"}) {
    CHECK(refusal(one("[1]", offsets), 4) == wrong);
  }
  CHECK(refusal(one("[1]", "[0,4]", "f32"), 4) == "tensor \"x\": unknown dtype \"f32\"");
  CHECK(refusal(R"({"x":{"more":[{}],"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4) == accepted);
}

TEST_CASE("shapes that overflow or are not as large as their bytes") {
  CHECK(refusal(one("[4294967296,4294967296]", "[0,0]")) == "tensor \"x\": shape [4294967296,4294967296] overflows");
  CHECK(refusal(one("[0,4294967296,4294967296]", "[0,0]")) ==
        "tensor \"x\": shape [0,4294967296,4294967296] overflows");
  CHECK(refusal(one("[18446744073709551615]", "[0,0]")) == "tensor \"x\": shape [18446744073709551615] overflows");
  CHECK(refusal(one("[2305843009213693952]", "[0,0]", "F64")) == "tensor \"x\": shape [2305843009213693952] overflows");
  CHECK(refusal(one("[2,3]", "[0,20]"), 20) == "tensor \"x\": shape needs 24 bytes, offsets span 20");
  CHECK(refusal(one("[]", "[0,0]")) == "tensor \"x\": shape needs 4 bytes, offsets span 0");
  CHECK(refusal(one("[1]", "[4,0]"), 4) == "tensor \"x\": ends at 0, before it starts at 4");
  CHECK(refusal(one("[3]", "[0,1]", "F4"), 1) == "tensor \"x\": 12 bits are not whole bytes");
  CHECK(refusal(one("[4]", "[0,3]", "F6_E2M3"), 3) == accepted);
}

TEST_CASE("names are shown on one line, and only the beginning of a long one") {
  CHECK(refusal('{' + tensor(R"(a\u0000\nb)", "[1]", "[0,5]") + '}', 5) ==
        R"(tensor "a\u0000\nb": shape needs 4 bytes, offsets span 5)");
  const std::string message = refusal('{' + tensor(std::string(1000000, 'x'), "[1]", "[0,5]") + '}', 5);
  CHECK(message.size() < 5000);
  CHECK(message.ends_with("xxx... (1000009 bytes): shape needs 4 bytes, offsets span 5"));
}

TEST_CASE("many tensors, and a shape of many axes") {
  std::string header = "{";
  for (int i = 0; i < 20000; ++i)
    header += (i > 0 ? "," : "") +
              tensor(std::to_string(i), "[1]", '[' + std::to_string(i) + ',' + std::to_string(i + 1) + ']', "U8");
  CHECK(refusal(header + '}', 20000) == accepted);
  CHECK(refusal(header + '}', 20001) == "1 trailing bytes");
  std::string ones = "[1";
  for (int i = 0; i < 20000; ++i) ones += ",1";
  CHECK(refusal(one(ones + ']', "[0,4]"), 4) == accepted);
}

TEST_CASE("data with gaps, overlaps, a tail, or cut off") {
  const std::string a = tensor("a", "[1]", "[0,4]");
  CHECK(refusal(one("[1]", "[1,5]"), 5) == "tensor \"x\": starts at 1, expected 0");
  CHECK(refusal('{' + a + ',' + tensor("b", "[1]", "[8,12]") + '}', 12) == "tensor \"b\": starts at 8, expected 4");
  CHECK(refusal('{' + a + ',' + tensor("b", "[1]", "[2,6]") + '}', 8) == "tensor \"b\": starts at 2, expected 4");
  CHECK(refusal('{' + a + ',' + tensor("b", "[1]", "[0,4]") + '}', 4) == "tensor \"b\": starts at 0, expected 4");
  CHECK(refusal('{' + a + ',' + tensor("b", "[0]", "[2,2]") + '}', 4) == "tensor \"b\": starts at 2, expected 4");
  CHECK(refusal(one("[1]", "[18446744073709551611,18446744073709551615]"), 4) ==
        "tensor \"x\": starts at 18446744073709551611, expected 0");
  CHECK(refusal(one("[2]", "[0,8]"), 7) == "tensors claim 8 bytes, the file holds 7 (incomplete download?)");
  CHECK(refusal(one("[2]", "[0,8]"), 11) == "3 trailing bytes");
  CHECK(refusal("{}", 5) == "5 trailing bytes");
  // Any order in the header, and empty tensors anywhere between.
  CHECK(refusal('{' + tensor("b", "[1]", "[4,8]") + ',' + a + ',' + tensor("c", "[0]", "[4,4]") + ',' +
                    tensor("d", "[0]", "[0,0]") + '}',
                8) == accepted);
}

TEST_CASE("files that cannot be read") {
  const TemporaryFolder folder;
  const std::string missing = folder.file("missing"), itself = folder.path.string();
  CHECK(message_of<DataError>([&] { io::SafetensorsFile file(missing); }) ==
        "[safetensors] " + missing + ": cannot read: No such file or directory");
  CHECK(message_of<DataError>([&] { io::SafetensorsFile file(itself); }) ==
        "[safetensors] " + itself + ": cannot read: Is a directory");
  const std::string path = folder.file("x");
  io::save_safetensors(path, {{"x", Tensor<float>::ones({1000})}});
  io::SafetensorsFile file(path);
  std::filesystem::resize_file(path, 1000);
  CHECK(message_of<DataError>([&] { file.read<float>("x"); }) ==
        "[safetensors] " + path + ": cannot read 4000 bytes at 72: the file has become shorter");
}
