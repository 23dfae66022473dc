#pragma once
// ModelFiles: config.json and model.safetensors of a model, checked before either is written.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "gptlite/core/finite.hpp"
#include "gptlite/core/text_file.hpp"
#include "gptlite/io/safetensors.hpp"
#include "gptlite/nn/lora.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {
namespace detail {

/// Metadata of model.safetensors by which a folder is recognized that holds files of two saves: what config.json says
/// beyond the shapes, and the checksum of the tokenizer's tokens.
inline constexpr const char* saved_config_key = "gptlite.config";
inline constexpr const char* saved_tokenizer_key = "gptlite.tokenizer";

/// Throws ConfigError for a model with adapters, for which a file of weights has no place.
template <class Module>
void check_no_lora(std::string_view where, const Module& model) {
  check<ConfigError>(!has_lora(model), where,
                     "the model has adapters: call save_lora(folder, model), or merge_lora(model) first");
}

/// Throws DataError, naming `where`, for a finite weight that overflows in `dtype`: 70,000 would become infinity in
/// F16.
inline void check_representable(std::string_view where, const std::string& folder, const NamedTensors& tensors,
                                DType dtype) {
  const auto check_all = [&]<class T>(const std::string& name, const Tensor<T>& weights) {
    if constexpr (std::is_floating_point_v<T>)
      with_float(dtype, [&](auto number) {
        for (Index i = 0; i < weights.numel(); ++i) {
          const T weight = weights.data()[i];
          check<DataError>(!is_finite(weight) || is_finite(static_cast<double>(static_cast<decltype(number)>(weight))),
                           where, folder, ": ", name, " has the weight ", weight, ", too large for ", name_of(dtype),
                           ": choose another format; nothing was written");
        }
      });
  };
  for (const auto& tensor : tensors)  // no binding: clang's lambdas do not capture them in C++20
    std::visit([&](const auto& weights) { check_all(tensor.first, weights); }, tensor.second);
}

/// Names of the files of a model, in the order in which a FolderUpdate puts them in place.
inline std::vector<std::string> model_file_names() {
  return {"generation_config.json", "model.safetensors", "config.json"};
}

/// The files of a model, checked before any is written.
class ModelFiles {
 public:
  /// where: the function that errors name. fingerprint: what config.json says beyond the shapes, by which files of two
  /// models are told apart. tokenizer: the checksum of the tokenizer that is saved with the model, or empty.
  ModelFiles(std::string_view where, const std::string& folder, const std::string& fingerprint,
             const nlohmann::ordered_json& config_json, NamedTensors tensors, std::optional<DType> dtype,
             const std::string& tokenizer)
      : config_(config_json.dump(2) + '\n'),  // throws for invalid UTF-8
        tensors_(std::move(tensors)),
        dtype_(dtype),
        metadata_{{"format", "pt"}, {saved_config_key, fingerprint}} {
    if (dtype) check_representable(where, folder, tensors_, *dtype);
    if (!tokenizer.empty()) metadata_.emplace(saved_tokenizer_key, tokenizer);
  }
  /// Writes them to a folder that exists.
  void write(const std::string& folder) const {
    save_safetensors(folder + "/model.safetensors", tensors_, metadata_, dtype_);
    write_text(folder + "/config.json", config_);
  }

 private:
  std::string config_;
  NamedTensors tensors_;
  std::optional<DType> dtype_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace detail
}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
