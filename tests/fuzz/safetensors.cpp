// safetensors files: header, tensors of every type, and what is read is written so that it is read again.

#include "gptlite/io/safetensors.hpp"

#include <cstring>
#include <string>

#include "fuzz/fuzz.hpp"

namespace fuzz {

using namespace gptlite;

namespace {

// Reads a tensor as T. Returns true if its format allows that, and keeps the tensor if it is T's own.
template <class T>
bool read_as(io::SafetensorsFile& file, const std::string& name, io::NamedTensors& kept) {
  return accepted([&] {
    const Tensor<T> numbers = file.read<T>(name);
    always(numbers.shape() == file.entry(name).shape);
    if (file.entry(name).dtype != io::dtype_of<T>) return;
    const std::vector<std::byte> bytes = file.read_bytes(name);
    always(bytes.size() == static_cast<std::size_t>(numbers.numel()) * sizeof(T));
    always(bytes.empty() || std::memcmp(bytes.data(), numbers.data(), bytes.size()) == 0);
    kept.emplace(name, numbers);
  });
}

}  // namespace

void safetensors(std::string_view bytes) {
  MemoryFiles memory;
  memory.files["f"] = std::string(bytes);
  const io::FileCallsScope scope(memory);
  accepted([&] {
    io::SafetensorsFile file("f");
    std::uint64_t data = 0;
    io::NamedTensors kept;
    for (const auto& item : file.tensors()) {
      const std::string& name = item.first;
      const io::DType dtype = item.second.dtype;
      always(file.read_bytes(name).size() == item.second.end - item.second.begin);
      data += item.second.end - item.second.begin;
      const bool real = io::with_float(dtype, [](auto) {});
      always(read_as<float>(file, name, kept) == real);
      always(read_as<double>(file, name, kept) == real);
      always(read_as<std::int32_t>(file, name, kept) == (dtype == io::DType::I32));
      always(read_as<std::int64_t>(file, name, kept) == (dtype == io::DType::I64));
    }
    always(data <= bytes.size());
    always(!file.contains("no tensor of this name") && !accepted([&] { file.entry("no tensor of this name"); }));

    io::save_safetensors("g", kept, file.metadata());
    io::SafetensorsFile again("g");
    always(again.metadata() == file.metadata() && again.tensors().size() == kept.size());
    for (const auto& item : kept) {
      always(again.entry(item.first).dtype == file.entry(item.first).dtype);
      always(again.entry(item.first).shape == file.entry(item.first).shape);
      always(again.read_bytes(item.first) == file.read_bytes(item.first));
    }
  });
}

}  // namespace fuzz
