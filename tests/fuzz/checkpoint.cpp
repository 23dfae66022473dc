// Checkpoints. The input is a file. Once more with all its checksums set right, so that what is behind them is reached.

#include "gptlite/io/checkpoint.hpp"

#include "fuzz/fuzz.hpp"

namespace fuzz {

using namespace gptlite;

namespace {
void load(const std::string& path) {
  accepted([&] {
    const io::Checkpoint checkpoint = io::load_checkpoint(path);
    for (const auto& item : checkpoint.tensors)
      std::visit([](const auto& tensor) { always(tensor.defined()); }, item.second);
  });
}
}  // namespace

void checkpoint(std::string_view bytes) {
  MemoryFiles memory;
  memory.files["f"] = std::string(bytes);
  const io::FileCallsScope scope(memory);
  load("f");
  accepted([&] {
    io::SafetensorsFile file("f");
    std::map<std::string, std::string> metadata{{"format", io::detail::checkpoint_format}};
    for (const auto& [name, text] : file.metadata())
      if (!name.starts_with(io::detail::checksum_prefix)) metadata.emplace(name, text);
    const std::map<std::string, std::string> texts = metadata;
    for (const auto& [name, text] : texts)
      metadata.emplace("crc32c:" + name, io::detail::checksum(name, "text", text.data(), text.size()));
    io::NamedTensors tensors;
    for (const auto& item : file.tensors()) {
      if (item.second.dtype == io::DType::F32)
        tensors.emplace(item.first, file.read<float>(item.first));
      else if (item.second.dtype == io::DType::F64)
        tensors.emplace(item.first, file.read<double>(item.first));
    }
    for (const auto& item : tensors)
      metadata.emplace("crc32c:" + item.first, io::detail::checksum(item.first, item.second));
    io::save_safetensors("g", tensors, metadata);
    load("g");
  });
}

}  // namespace fuzz
