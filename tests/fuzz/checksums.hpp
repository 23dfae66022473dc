#pragma once
// Checkpoints with all their checksums set right, so that what is behind the checksums is reached.

#include <map>
#include <string>

#include "gptlite/io/checkpoint.hpp"

namespace fuzz {

/// Writes the checkpoint at `from` to `to` with the checksums of what it holds. Throws as SafetensorsFile does.
inline void set_checksums(const std::string& from, const std::string& to) {
  using namespace gptlite;
  io::SafetensorsFile file(from);
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
  io::save_safetensors(to, tensors, metadata);
}

}  // namespace fuzz
