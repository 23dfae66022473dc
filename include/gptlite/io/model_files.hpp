#pragma once
// ModelFiles: config.json and model.safetensors of a model, checked before either is written.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gptlite/core/finite.hpp"
#include "gptlite/core/text_file.hpp"
#include "gptlite/io/safetensors.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {
namespace detail {

/// Metadata of model.safetensors by which a folder is recognized that holds files of two saves: what config.json says
/// beyond the shapes, and the checksum of the tokenizer's tokens.
inline constexpr const char* saved_config_key = "gptlite.config";
inline constexpr const char* saved_tokenizer_key = "gptlite.tokenizer";

/// Throws DataError for a finite weight that overflows in `dtype`: 70,000 would become infinity in F16.
inline void check_representable(const std::string& folder, const NamedTensors& tensors, DType dtype) {
  for (const auto& tensor : tensors)  // no binding: clang's lambdas do not capture them in C++20
    if (const auto* weights = std::get_if<Tensor<float>>(&tensor.second))
      with_float(dtype, [&](auto number) {
        for (Index i = 0; i < weights->numel(); ++i) {
          const float weight = weights->data()[i];
          check<DataError>(!is_finite(weight) || is_finite(static_cast<float>(static_cast<decltype(number)>(weight))),
                           "save_gpt", folder, ": ", tensor.first, " has the weight ", weight, ", too large for ",
                           name_of(dtype), ": choose another format; nothing was written");
        }
      });
}

/// Names of the files of a model, in the order in which a FolderUpdate puts them in place.
inline std::vector<std::string> model_file_names() {
  return {"generation_config.json", "model.safetensors", "config.json"};
}

/// The files of a model, checked before any is written.
class ModelFiles {
 public:
  /// fingerprint: what config.json says beyond the shapes, by which files of two models are told apart. tokenizer: the
  /// checksum of the tokenizer that is saved with the model, or empty.
  ModelFiles(const std::string& folder, const std::string& fingerprint, const nlohmann::ordered_json& config_json,
             NamedTensors tensors, std::optional<DType> dtype, const std::string& tokenizer)
      : config_(config_json.dump(2) + '\n'),  // throws for invalid UTF-8
        tensors_(std::move(tensors)),
        dtype_(dtype),
        metadata_{{"format", "pt"}, {saved_config_key, fingerprint}} {
    if (dtype) check_representable(folder, tensors_, *dtype);
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
