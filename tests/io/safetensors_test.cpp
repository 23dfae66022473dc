// safetensors: files are those of the Python package byte for byte, both ways; numbers survive or are rounded once.

#include "gptlite/io/safetensors.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;
using io::DType;

namespace {

// numbers() of tests/fixtures/make_safetensors.py.
template <class T>
Tensor<T> numbers(Shape shape) {
  Tensor<T> x = Tensor<T>::empty(std::move(shape));
  for (int i = 0; i < x.numel(); ++i) x.data()[i] = std::ldexp(T(i - 20) / T(7), i * 5 % 50 - 30);
  return x;
}

const std::string odd_name = "odd \"\\\n\x01\x7f\xE2\x82\xAC";

io::NamedTensors mixed() {
  return {{"h.10.w", numbers<float>({2, 3})},
          {"h.2.w", numbers<float>({5})},
          {"wide", numbers<double>({3, 2})},
          {"scalar", numbers<float>({})},
          {"empty", numbers<float>({0, 3})},
          {"long", Tensor<std::int64_t>::from(
                       {-3, 999999999997, 1999999999997, 2999999999997, 3999999999997, 4999999999997}, {1, 6})},
          {"tokens", Tensor<TokenId>::from({0, 1, 2, 3, 4, 5}, {3, 2})},
          {odd_name, numbers<float>({1})}};
}

std::string fixture(const std::string& name) { return GPTLITE_FIXTURES "/" + name; }

template <class T>
bool same(const Tensor<T>& a, const Tensor<T>& b) {
  return a.shape() == b.shape() && a.to_vector() == b.to_vector();
}

}  // namespace

TEST_CASE("a file is that of the Python package, byte for byte") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  io::save_safetensors(path, mixed(), {{"format", "pt"}});
  CHECK(bytes_of(path) == bytes_of(fixture("mixed.safetensors")));
  io::save_safetensors(path, {{"from_double", numbers<double>({41})}, {"from_float", numbers<float>({41})}}, {},
                       DType::F16);
  CHECK(bytes_of(path) == bytes_of(fixture("f16.safetensors")));
  io::save_safetensors(path, {{"x", numbers<float>({41})}}, {}, DType::BF16);
  CHECK(bytes_of(path) == bytes_of(fixture("bf16.safetensors")));
  io::save_safetensors(path, {});
  CHECK(bytes_of(path) == std::string("\x08\0\0\0\0\0\0\0{}      ", 16));
}

TEST_CASE("a file of the Python package is read") {
  io::SafetensorsFile file(fixture("mixed.safetensors"));
  CHECK(file.tensors().size() == 8);
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}});
  for (const auto& item : mixed()) {
    CAPTURE(item.first);
    std::visit([&]<class T>(const Tensor<T>& t) { CHECK(same(file.read<T>(item.first), t)); }, item.second);
  }
  CHECK(file.contains("wide"));
  CHECK_FALSE(file.contains("narrow"));
  const auto& entry = file.entry("tokens");
  CHECK(entry.dtype == DType::I32);
  CHECK(entry.shape == Shape{3, 2});
  CHECK(entry.end - entry.begin == 24);
  CHECK(file.read_bytes("tokens")[4] == std::byte{1});
  CHECK(file.read_bytes("tokens").size() == 24);
}

TEST_CASE("floats are read as float and double from every width, exactly or rounded") {
  io::SafetensorsFile mixed_file(fixture("mixed.safetensors"));
  CHECK(same(mixed_file.read<double>("h.2.w"), numbers<float>({5}).cast<double>()));
  CHECK(same(mixed_file.read<float>("wide"), numbers<double>({3, 2}).cast<float>()));
  io::SafetensorsFile f16(fixture("f16.safetensors")), bf16(fixture("bf16.safetensors"));
  const auto float_of = [](auto half) { return static_cast<float>(half); };
  const Tensor<float> x = numbers<float>({41});
  for (int i = 0; i < 41; ++i) {
    CHECK(f16.read<float>("from_float").at({i}) == float_of(io::Float16(x.at({i}))));
    CHECK(f16.read<double>("from_double").at({i}) == float_of(io::Float16(numbers<double>({41}).at({i}))));
    CHECK(bf16.read<double>("x").at({i}) == float_of(BFloat16(x.at({i}))));
  }
}

TEST_CASE("tensors larger than a piece are converted whole") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  for (const Index size : {65535, 65536, 65537, 200000}) {
    Tensor<float> x = Tensor<float>::empty({size});
    for (Index i = 0; i < size; ++i) x.data()[i] = static_cast<float>(i % 2039);
    for (const DType dtype : {DType::F16, DType::F32, DType::F64}) {
      io::save_safetensors(path, {{"x", x}, {"y", x.cast<double>()}}, {}, dtype);
      io::SafetensorsFile file(path);
      CHECK(file.entry("x").dtype == dtype);
      CHECK((same(file.read<float>("x"), x) && same(file.read<float>("y"), x)));
    }
  }
}

TEST_CASE("infinities and NaN are kept") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  for (const DType dtype : {DType::F16, DType::BF16, DType::F32, DType::F64}) {
    io::save_safetensors(path, {{"x", Tensor<double>::from({HUGE_VAL, -HUGE_VAL, std::nan("")})}}, {}, dtype);
    const Tensor<float> x = io::SafetensorsFile(path).read<float>("x");
    CHECK(x.at({0}) == HUGE_VALF);
    CHECK(x.at({1}) == -HUGE_VALF);
    CHECK(std::isnan(x.at({2})));
  }
}

TEST_CASE("other formats are listed and given as bytes, not as numbers") {
  const TemporaryFolder folder;
  const std::string header = R"({"m":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  const std::string path = folder.file("x", bytes + header + std::string("\1\0\1", 3));
  io::SafetensorsFile file(path);
  CHECK(name_of(file.entry("m").dtype) == "BOOL");
  CHECK(file.read_bytes("m") == std::vector{std::byte{1}, std::byte{0}, std::byte{1}});
  CHECK(message_of<DataError>([&] { file.read<float>("m"); }) ==
        "[safetensors] " + path +
            ": tensor \"m\" holds BOOL, which does not convert to F32: read_bytes gives it as it is");
  io::SafetensorsFile mixed_file(fixture("mixed.safetensors"));
  const auto refused = [&](const char* name, const char* from, const char* to) {
    return "[safetensors] " + fixture("mixed.safetensors") + ": tensor \"" + name + "\" holds " + from +
           ", which does not convert to " + to + ": read_bytes gives it as it is";
  };
  CHECK(message_of<DataError>([&] { mixed_file.read<double>("tokens"); }) == refused("tokens", "I32", "F64"));
  CHECK(message_of<DataError>([&] { mixed_file.read<TokenId>("long"); }) == refused("long", "I64", "I32"));
  CHECK(message_of<DataError>([&] { mixed_file.read<std::int64_t>("wide"); }) == refused("wide", "F64", "I64"));
  CHECK(message_of<DataError>([&] { mixed_file.read<float>("a\nb"); }) ==
        "[safetensors] " + fixture("mixed.safetensors") + ": holds no tensor \"a\\nb\"");
}

TEST_CASE("a format that does not convert is refused before there is memory for its numbers") {
  const TemporaryFolder folder;
  const std::string header = R"({"m":{"dtype":"U8","shape":[68719476736],"data_offsets":[0,68719476736]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  const std::string path = folder.file("x", bytes + header);
  std::filesystem::resize_file(path, 8 + header.size() + 68719476736);  // with a hole: it takes no space
  io::SafetensorsFile file(path);
  CHECK(message_of<DataError>([&] { file.read<double>("m"); }).find("which does not convert to F64") !=
        std::string::npos);
}

TEST_CASE("what could not be read back is not written, and the old file stays") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x", "old");
  const Tensor<float> x = Tensor<float>::ones({2});
  const auto refusal = [&](const io::NamedTensors& tensors, const std::map<std::string, std::string>& metadata = {}) {
    return message_of<DataError>([&] { io::save_safetensors(path, tensors, metadata); });
  };
  const std::string where = "[save_safetensors] " + path;
  CHECK(refusal({{"__metadata__", x}}) == where + ": a tensor cannot be named __metadata__");
  CHECK(refusal({{"a", x}, {"b", Tensor<float>()}}) == where + ": tensor \"b\" is undefined");
  CHECK(refusal({{"\xFF", x}}) == where + ": a name of a tensor or a text of the metadata is not UTF-8");
  CHECK(refusal({{"a", x}}, {{"k", "\xFF"}}) == where + ": a name of a tensor or a text of the metadata is not UTF-8");
  CHECK(refusal({}, {{"k", std::string(100000000, 'x')}}) ==
        where + ": header length 100000032 exceeds the limit 100000000");
  CHECK(message_of<ConfigError>([&] {
          io::save_safetensors(path, {{"a", x}}, {}, DType::I32);
        }) == where + ": cannot write numbers as I32, only as F16, BF16, F32 or F64");
  CHECK(bytes_of(path) == "old");
}
