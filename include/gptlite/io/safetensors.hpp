#pragma once
// safetensors files: SafetensorsFile reads them, and checks the whole header before it reads a number; save_safetensors
// writes them.
//
// A file that opens here opens in the Python package (0.8) and vice versa, except for three things that Python accepts:
// duplicate keys, of which it keeps the last; shapes that overflow 63 bits although a size is 0; and descriptions of a
// tensor that its parser accepts by accident: an array, or a dtype such as {"F32": null}.

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <istream>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "gptlite/core/atomic_file.hpp"
#include "gptlite/core/tensor.hpp"
#include "gptlite/io/dtype.hpp"
#include "gptlite/io/json.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

static_assert(std::endian::native == std::endian::little,
              "safetensors files are little-endian, and so must be the machine");

/// Longest header that is read or written, in bytes: the format's own limit.
inline constexpr std::uint64_t max_safetensors_header = 100'000'000;

namespace detail {
inline constexpr Index safetensors_piece = 1 << 16;  // numbers converted at a time
}

/// An open safetensors file. Every problem is a DataError that names the path.
class SafetensorsFile {
 public:
  /// One tensor in the file.
  struct Entry {
    DType dtype;
    Shape shape;
    std::uint64_t begin, end;  ///< range of its bytes, counted from the end of the header
  };

  /// Opens a file, and reads and checks its header.
  explicit SafetensorsFile(std::string path) : path_(std::move(path)) {
    stream_ = file_calls().open_to_read(path_.c_str());
    require(stream_ != nullptr, "cannot read: ", std::strerror(errno));
    stream_->seekg(0, std::ios::end);
    const auto size = static_cast<std::uint64_t>(stream_->tellg());

    std::uint64_t header_size = 0;
    require(size >= sizeof header_size, "too short: ", size, " bytes, the header length needs 8");
    read_at(0, &header_size, sizeof header_size);
    require(header_size <= max_safetensors_header, "header length ", header_size, " exceeds the limit ",
            max_safetensors_header);
    data_begin_ = sizeof header_size + header_size;
    require(data_begin_ <= size, "header claims ", header_size, " bytes, the file holds ", size - sizeof header_size,
            " (incomplete download?)");
    std::string header(static_cast<std::size_t>(header_size), '\0');
    read_at(sizeof header_size, header.data(), header.size());

    nlohmann::json root = parse_json(header, path_, {.where = "safetensors", .text = "header ", .key = "tensor"});
    const detail::JsonScope scope(root);
    require(root.is_object(), "header is not a JSON object");
    for (const auto& [name, value] : std::as_const(root).items()) {
      if (name == "__metadata__") {
        read_metadata(value);
      } else {
        entries_.emplace(name, checked_entry(name, value));
      }
    }
    require_tiled(size - data_begin_);
  }

  /// The tensors of the file, by name.
  const std::map<std::string, Entry>& tensors() const { return entries_; }
  /// The texts in __metadata__, by name.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool contains(const std::string& name) const { return entries_.contains(name); }
  /// Format, shape and place of a tensor. Throws DataError if the file has no such tensor.
  const Entry& entry(const std::string& name) const {
    const auto found = entries_.find(name);
    require(found != entries_.end(), "holds no tensor ", json_string(name));
    return found->second;
  }

  /// Reads the tensor of that name. float and double are read from F16, BF16, F32 or F64, exactly or rounded to the
  /// nearest, ties to even; int32_t (TokenId) only from I32, int64_t only from I64. Throws DataError for another format
  /// or name.
  template <class T>
  Tensor<T> read(const std::string& name) {
    const Entry& tensor = entry(name);
    const bool same = tensor.dtype == dtype_of<T>;
    const bool converts = std::is_floating_point_v<T> && with_float(tensor.dtype, [](auto) {});
    // Before memory is allocated: a byte of F4 would take 16 as doubles.
    require(same || converts, "tensor ", json_string(name), " holds ", name_of(tensor.dtype),
            ", which does not convert to ", name_of(dtype_of<T>), ": read_bytes gives it as it is");
    Tensor<T> numbers = Tensor<T>::empty(tensor.shape);
    if (same) {
      read_at(data_begin_ + tensor.begin, numbers.data(), static_cast<std::size_t>(tensor.end - tensor.begin));
    } else if constexpr (std::is_floating_point_v<T>) {
      with_float(tensor.dtype, [&](auto stored) {
        std::vector<decltype(stored)> piece(detail::safetensors_piece);
        std::uint64_t position = data_begin_ + tensor.begin;
        for (Index at = 0; at < numbers.numel(); at += detail::safetensors_piece) {
          const Index n = std::min(numbers.numel() - at, detail::safetensors_piece);
          read_at(position, piece.data(), static_cast<std::size_t>(n) * sizeof stored);
          std::transform(piece.begin(), piece.begin() + n, numbers.data() + at,
                         [](auto x) { return static_cast<T>(x); });
          position += static_cast<std::uint64_t>(n) * sizeof stored;
        }
      });
    }
    return numbers;
  }

  /// Reads the bytes of the tensor of that name as they are in the file: row-major, little-endian. Throws DataError if
  /// there is no such tensor.
  std::vector<std::byte> read_bytes(const std::string& name) {
    const Entry& tensor = entry(name);
    std::vector<std::byte> bytes(static_cast<std::size_t>(tensor.end - tensor.begin));
    read_at(data_begin_ + tensor.begin, bytes.data(), bytes.size());
    return bytes;
  }

 private:
  template <class... Parts>
  void require(bool condition, const Parts&... problem) const {
    check<DataError>(condition, "safetensors", path_, ": ", problem...);
  }

  void read_at(std::uint64_t position, void* to, std::size_t n) {
    errno = 0;
    stream_->seekg(static_cast<std::streamoff>(position));
    stream_->read(static_cast<char*>(to), static_cast<std::streamsize>(n));
    require(!stream_->fail(), "cannot read ", n, " bytes at ", position, ": ",
            errno != 0 ? std::strerror(errno) : "the file has become shorter");
  }

  void read_metadata(const nlohmann::json& value) {
    if (value.is_null()) return;
    const bool texts =
        value.is_object() && std::all_of(value.begin(), value.end(), [](auto& v) { return v.is_string(); });
    require(texts, "__metadata__ must give each name a text");
    value.get_to(metadata_);
  }

  // Checks and returns one tensor of the header.
  Entry checked_entry(const std::string& name, const nlohmann::json& value) const {
    const std::string what = std::string("tensor ").append(json_string(name));
    const auto unsigned_array = [&](const char* key) {
      return value[key].is_array() &&
             std::all_of(value[key].begin(), value[key].end(), [](auto& v) { return v.is_number_unsigned(); });
    };
    require(value.is_object() && value.contains("dtype") && value["dtype"].is_string() && value.contains("shape") &&
                unsigned_array("shape") && value.contains("data_offsets") && unsigned_array("data_offsets") &&
                value["data_offsets"].size() == 2,
            what, R"(: expected {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, with its own values)");
    const std::optional<DType> dtype = try_parse<DType>(value["dtype"].get_ref<const std::string&>());
    require(dtype.has_value(), what, ": unknown dtype ", value["dtype"].dump());
    const std::uint64_t begin = value["data_offsets"][0], end = value["data_offsets"][1];
    require(begin <= end, what, ": ends at ", end, ", before it starts at ", begin);

    Shape shape;
    const auto countable = [&] {
      try {
        shape = Shape(value["shape"].get<std::vector<Index>>());  // a size beyond Index becomes negative
        return static_cast<std::uint64_t>(shape.numel()) <= std::numeric_limits<std::uint64_t>::max() / bits_of(*dtype);
      } catch (const ShapeError&) {
        return false;
      }
    };
    require(countable(), what, ": shape ", value["shape"].dump(), " overflows");
    const std::uint64_t bits = static_cast<std::uint64_t>(shape.numel()) * bits_of(*dtype);
    require(bits % 8 == 0, what, ": ", bits, " bits are not whole bytes");
    require(bits / 8 == end - begin, what, ": shape needs ", bits / 8, " bytes, offsets span ", end - begin);
    return {*dtype, std::move(shape), begin, end};
  }

  // Throws unless the tensors fill the data to its last byte: no gap, no overlap, nothing hidden after them.
  void require_tiled(std::uint64_t size) const {
    std::vector<std::pair<const Entry*, const std::string*>> order;
    for (const auto& [name, tensor] : entries_) order.emplace_back(&tensor, &name);
    std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
      return std::pair(a.first->begin, a.first->end) < std::pair(b.first->begin, b.first->end);
    });
    std::uint64_t end = 0;
    for (const auto& [tensor, name] : order) {
      require(tensor->begin == end, "tensor ", json_string(*name), ": starts at ", tensor->begin, ", expected ", end);
      end = tensor->end;
    }
    require(end <= size, "tensors claim ", end, " bytes, the file holds ", size, " (incomplete download?)");
    require(end == size, size - end, " trailing bytes");
  }

  std::string path_;
  std::unique_ptr<std::istream> stream_;
  std::uint64_t data_begin_ = 0;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// A tensor of any type that can be saved.
using AnyTensor = std::variant<Tensor<float>, Tensor<double>, Tensor<std::int32_t>, Tensor<std::int64_t>>;
/// Tensors to save, by name.
using NamedTensors = std::map<std::string, AnyTensor>;

namespace detail {

struct StoredTensor {
  std::string_view name;
  DType dtype;  // in the file
  const AnyTensor* tensor;
};

// Makes the header of a file of these tensors in this order, without the length in front of it.
inline std::string safetensors_header(const std::vector<StoredTensor>& order,
                                      const std::map<std::string, std::string>& metadata) {
  std::string header;
  if (!metadata.empty()) header.append("\"__metadata__\":").append(nlohmann::json(metadata).dump());
  std::uint64_t end = 0;
  for (const StoredTensor& stored : order) {
    const Shape& shape = std::visit([](const auto& t) -> const Shape& { return t.shape(); }, *stored.tensor);
    const std::uint64_t begin = end;
    end += static_cast<std::uint64_t>(shape.numel()) * (bits_of(stored.dtype) / 8);
    const nlohmann::ordered_json entry = {
        {"dtype", name_of(stored.dtype)}, {"shape", shape.sizes()}, {"data_offsets", {begin, end}}};
    // append: g++ 12 wrongly warns of const char* + std::string where it is inlined.
    header.append(header.empty() ? "" : ",").append(nlohmann::json(stored.name).dump());
    header.append(":").append(entry.dump());
  }
  header = '{' + header + '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');  // numbers start at a multiple of 8
  return header;
}

template <class T>
void write_numbers(AtomicFile& file, const Tensor<T>& tensor, DType dtype) {
  if (dtype == dtype_of<T>) {
    file.write(tensor.data(), static_cast<std::size_t>(tensor.numel()) * sizeof(T));
  } else if constexpr (std::is_floating_point_v<T>) {
    with_float(dtype, [&](auto stored) {
      std::vector<decltype(stored)> piece(safetensors_piece);
      for (Index at = 0; at < tensor.numel(); at += safetensors_piece) {
        const Index n = std::min(tensor.numel() - at, safetensors_piece);
        std::transform(tensor.data() + at, tensor.data() + at + n, piece.begin(),
                       [](T x) { return static_cast<decltype(stored)>(x); });
        file.write(piece.data(), static_cast<std::size_t>(n) * sizeof stored);
      }
    });
  }
}

}  // namespace detail

/// Writes a safetensors file, byte for byte as the Python package does (which leaves the order of metadata open; here
/// it is sorted). dtype: F16, BF16, F32 or F64, the format that float and double tensors are rounded to, to the
/// nearest, ties to even. Without it they keep their format, as integers always do. The file is replaced whole or not
/// at all, by AtomicFile, with its errors. Throws ConfigError for another dtype, DataError for a file that could not be
/// read back.
inline void save_safetensors(const std::string& path, const NamedTensors& tensors,
                             const std::map<std::string, std::string>& metadata = {},
                             std::optional<DType> dtype = std::nullopt) {
  constexpr auto where = "save_safetensors";
  check<ConfigError>(!dtype || with_float(*dtype, [](auto) {}), where, path, ": cannot write numbers as ",
                     name_of(dtype.value_or(DType::F32)), ", only as F16, BF16, F32 or F64");
  std::vector<detail::StoredTensor> order;
  for (const auto& item : tensors) {
    check<DataError>(item.first != "__metadata__", where, path, ": a tensor cannot be named __metadata__");
    const auto stored_as = [&]<class T>(const Tensor<T>& tensor) {
      check<DataError>(tensor.defined(), where, path, ": tensor ", json_string(item.first), " is undefined");
      return std::is_floating_point_v<T> && dtype ? *dtype : dtype_of<T>;
    };
    order.push_back({item.first, std::visit(stored_as, item.second), &item.second});
  }
  // Wide numbers come first, so all are aligned. Names ascend already, and a stable sort keeps that.
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.dtype > b.dtype; });

  std::string header;
  try {
    header = detail::safetensors_header(order, metadata);
  } catch (const nlohmann::json::type_error&) {
    raise<DataError>(where, path, ": a name of a tensor or a text of the metadata is not UTF-8");
  }
  const std::uint64_t header_size = header.size();
  check<DataError>(header_size <= max_safetensors_header, where, path, ": header length ", header_size,
                   " exceeds the limit ", max_safetensors_header);

  AtomicFile file(path);
  file.write(&header_size, sizeof header_size);
  file.write(header.data(), header.size());
  for (const detail::StoredTensor& stored : order) {
    std::visit([&](const auto& tensor) { detail::write_numbers(file, tensor, stored.dtype); }, *stored.tensor);
  }
  file.commit();
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
