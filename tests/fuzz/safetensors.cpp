// safetensors files: header, tensors of every type, and a file that is accepted is written back the same.

#include "gptlite/io/safetensors.hpp"

#include "fuzz/fuzz.hpp"

namespace fuzz {

using namespace gptlite;

void safetensors(std::string_view bytes) {
  MemoryFiles memory;
  memory.files["f"] = std::string(bytes);
  const io::FileCallsScope scope(memory);
  accepted([&] {
    io::SafetensorsFile file("f");
    std::uint64_t data = 0;
    for (const auto& item : file.tensors()) {
      const std::string& name = item.first;
      always(file.read_bytes(name).size() == item.second.end - item.second.begin);
      data += item.second.end - item.second.begin;
      accepted([&] { file.read<float>(name); });
      accepted([&] { file.read<double>(name); });
      accepted([&] { file.read<std::int32_t>(name); });
      accepted([&] { file.read<std::int64_t>(name); });
    }
    always(data <= bytes.size());
    always(!file.contains("no tensor of this name") && !accepted([&] { file.entry("no tensor of this name"); }));
  });
}

}  // namespace fuzz
