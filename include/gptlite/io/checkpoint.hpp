#pragma once
// Checkpoints: the state of a training run, one safetensors file for each saved step, with a checksum for each tensor.

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "gptlite/core/crc32c.hpp"
#include "gptlite/core/error.hpp"
#include "gptlite/core/files.hpp"
#include "gptlite/core/parse_number.hpp"
#include "gptlite/io/safetensors.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// What a checkpoint holds, by name.
struct Checkpoint {
  NamedTensors tensors = {};  ///< of float or double
  std::map<std::string, std::int64_t> integers = {};
  std::map<std::string, double> reals = {};
  std::map<std::string, std::string> texts = {};
};

namespace detail {
inline constexpr const char* checkpoint_format = "gptlite checkpoint 1";
// Prefixes of the names in the file's metadata.
inline constexpr std::string_view checksum_prefix = "crc32c:", integer_prefix = "integer:", real_prefix = "real:",
                                  text_prefix = "text:";

/// Shortest digits that read back as the same number; "nan" and "inf" too.
template <class Number>
std::string digits_of(Number number) {
  char text[64];
  return std::string(text, std::to_chars(text, text + sizeof text, number).ptr);
}

/// Checksum of a tensor or a text with its name, so that exchanged ones are found too.
inline std::string checksum(const std::string& name, const std::string& kind, const void* bytes, std::size_t n) {
  const std::string head = name + ' ' + kind + ' ';
  char text[16];
  std::snprintf(text, sizeof text, "%08x", static_cast<unsigned>(crc32c(bytes, n, crc32c(head.data(), head.size()))));
  return text;
}
/// Type and shape of a tensor: "F32 (2, 3)".
inline std::string form_of(const AnyTensor& any) {
  return std::visit(
      []<class T>(const Tensor<T>& tensor) {
        std::ostringstream form;
        form << name_of(dtype_of<T>) << ' ' << tensor.shape();
        return form.str();
      },
      any);
}
inline std::string checksum(const std::string& name, const AnyTensor& any) {
  return std::visit(
      [&]<class T>(const Tensor<T>& tensor) {
        return checksum(name, form_of(any), tensor.data(), static_cast<std::size_t>(tensor.numel()) * sizeof(T));
      },
      any);
}
}  // namespace detail

/// Writes a checkpoint. The file is replaced whole or not at all, by AtomicFile, with its errors.
inline void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  std::map<std::string, std::string> metadata{{"format", detail::checkpoint_format}};
  const auto put = [&](std::string_view prefix, const std::string& name, std::string text) {
    metadata.emplace(std::string(prefix) + name, std::move(text));
  };
  for (const auto& [name, number] : checkpoint.integers) put(detail::integer_prefix, name, detail::digits_of(number));
  for (const auto& [name, number] : checkpoint.reals) put(detail::real_prefix, name, detail::digits_of(number));
  for (const auto& [name, text] : checkpoint.texts) put(detail::text_prefix, name, text);
  const std::map<std::string, std::string> texts = metadata;
  for (const auto& [name, text] : texts)
    put(detail::checksum_prefix, name, detail::checksum(name, "text", text.data(), text.size()));
  for (const auto& [name, tensor] : checkpoint.tensors)
    put(detail::checksum_prefix, name, detail::checksum(name, tensor));
  save_safetensors(path, checkpoint.tensors, metadata);
}

/// Reads a checkpoint and verifies every checksum. Throws DataError, with the path, for a file that is missing,
/// malformed or no checkpoint, and `tensor "x" corrupted` for a checksum that does not match.
inline Checkpoint load_checkpoint(const std::string& path) {
  SafetensorsFile file(path);
  const auto expect = [&](bool condition, const auto&... parts) {
    check<DataError>(condition, "load_checkpoint", path, ": ", parts...);
  };
  const std::map<std::string, std::string>& metadata = file.metadata();
  const auto sum_of = [&](const std::string& name) {
    const auto found = metadata.find(std::string(detail::checksum_prefix) + name);
    return found == metadata.end() ? std::string() : found->second;
  };
  const auto format = metadata.find("format");
  expect(format != metadata.end() && format->second == detail::checkpoint_format, "no checkpoint of this version (\"",
         detail::checkpoint_format, "\")");
  Checkpoint checkpoint;
  for (const auto& item : metadata) {  // no binding: clang's lambdas do not capture them in C++20
    const std::string &name = item.first, &text = item.second;
    if (name.starts_with(detail::checksum_prefix)) continue;
    expect(sum_of(name) == detail::checksum(name, "text", text.data(), text.size()), "text ", json_string(name),
           " corrupted");
    const auto number = [&](auto value) {
      expect(parse_number(text, value), json_string(name), " is no number: ", json_string(text));
      return value;
    };
    if (name.starts_with(detail::integer_prefix))
      checkpoint.integers.emplace(name.substr(detail::integer_prefix.size()), number(std::int64_t{}));
    else if (name.starts_with(detail::real_prefix))
      checkpoint.reals.emplace(name.substr(detail::real_prefix.size()), number(double{}));
    else if (name.starts_with(detail::text_prefix))
      checkpoint.texts.emplace(name.substr(detail::text_prefix.size()), text);
  }
  for (const auto& [name, entry] : file.tensors()) {
    AnyTensor tensor;
    if (entry.dtype == DType::F32)
      tensor = file.read<float>(name);
    else if (entry.dtype == DType::F64)
      tensor = file.read<double>(name);
    else
      expect(false, "tensor ", json_string(name), " holds ", name_of(entry.dtype), ", which no checkpoint has");
    expect(sum_of(name) == detail::checksum(name, tensor), "tensor ", json_string(name), " corrupted");
    checkpoint.tensors.emplace(name, std::move(tensor));
  }
  return checkpoint;
}

/// Path of the checkpoint of a step in a folder of checkpoints.
inline std::string checkpoint_path(const std::string& folder, std::int64_t step) {
  char name[48];
  std::snprintf(name, sizeof name, "/step-%08lld.safetensors", static_cast<long long>(step));
  return folder + name;
}

/// The steps of all checkpoints in a folder, ascending; none if there is no such folder. Files that are named otherwise
/// are passed over.
inline std::vector<std::int64_t> checkpoint_steps(const std::string& folder) {
  std::vector<std::int64_t> steps;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    constexpr std::string_view begin = "step-", end = ".safetensors";
    if (!name.starts_with(begin) || !name.ends_with(end) || name.size() <= begin.size() + end.size()) continue;
    std::int64_t step = 0;
    const std::string_view digits(name.data() + begin.size(), name.size() - begin.size() - end.size());
    if (parse_number(digits, step) && step >= 0 && entry.path() == checkpoint_path(folder, step)) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

/// Removes all checkpoints of a folder but those of the `keep_last` highest steps and of the steps in `keep`. Throws
/// ConfigError if keep_last is below 1, IoError if a file cannot be removed.
inline void rotate_checkpoints(const std::string& folder, Index keep_last, const std::set<std::int64_t>& keep = {}) {
  check<ConfigError>(keep_last >= 1, "rotate_checkpoints", "keep_last must be 1 or more, got ", keep_last);
  const std::vector<std::int64_t> steps = checkpoint_steps(folder);
  for (std::size_t i = 0; i + static_cast<std::size_t>(keep_last) < steps.size(); ++i) {
    if (keep.contains(steps[i])) continue;
    const std::string path = checkpoint_path(folder, steps[i]);
    if (file_calls().remove(path.c_str()) < 0 && errno != ENOENT)
      raise<IoError>("rotate_checkpoints", path, ": cannot remove: ", std::strerror(errno));
  }
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
