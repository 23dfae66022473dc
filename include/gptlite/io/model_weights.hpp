#pragma once
// ModelWeights: the tensors of a folder, whether they are in one safetensors file or in several.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/atomic_file.hpp"
#include "gptlite/io/known_keys.hpp"
#include "gptlite/io/safetensors.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// The tensors in model.safetensors, or else in the shards that model.safetensors.index.json names, as save_pretrained
/// writes large models. If a file's metadata maps a name to a tensor, as safetensors.torch.save_model does for tied
/// weights, the name is an alias of that tensor.
class ModelWeights {
 public:
  using Entry = SafetensorsFile::Entry;

  /// Opens the files. where: the function that errors name. python_class: the class of transformers that opens
  /// pytorch_model.bin. Throws DataError, with the path, for a file that is
  /// missing or malformed, or that lacks a tensor of the index.
  explicit ModelWeights(const std::string& folder, std::string_view where = "ModelWeights",
                        std::string_view python_class = "AutoModelForCausalLM") {
    path_ = folder + "/model.safetensors";
    const std::string index_path = path_ + ".index.json";
    if (path_exists(path_) || !path_exists(index_path)) {
      check<DataError>(path_exists(path_) || !path_exists(folder + "/pytorch_model.bin"), where, folder,
                       ": has pytorch_model.bin but no model.safetensors; these two lines of Python write it:\n",
                       "  from transformers import ", python_class, "\n  ", python_class, ".from_pretrained(",
                       json_string(folder), ").save_pretrained(", json_string(folder), ")");
      SafetensorsFile& file = *files_.emplace_back(std::make_unique<SafetensorsFile>(path_));
      for (const auto& [name, entry] : file.tensors()) tensors_.emplace(name, Place{&file, name});
    } else {
      path_ = index_path;
      const nlohmann::json index = read_json(path_);
      check<DataError>(index.is_object() && index.contains("weight_map") && index.at("weight_map").is_object(), where,
                       path_, ": \"weight_map\" must be an object of file names by tensor");
      detail::check_keys(index, detail::index_keys, where, path_);
      std::map<std::string, SafetensorsFile*> opened;
      for (const auto& [tensor, shard] : index.at("weight_map").items()) {
        const std::string name = shard.is_string() ? shard.get<std::string>() : "";
        check<DataError>(!name.empty() && name.find_first_of("/\\") == name.npos, where, path_, ": the file of ",
                         json_string(tensor), " must be a name in the same folder, not ", shard.dump());
        SafetensorsFile*& file = opened[name];
        if (file == nullptr) file = files_.emplace_back(std::make_unique<SafetensorsFile>(folder + '/' + name)).get();
        check<DataError>(file->contains(tensor), where, path_, ": ", name, " holds no tensor ", json_string(tensor));
        tensors_.emplace(tensor, Place{file, tensor});
      }
    }
    for (const auto& file : files_)
      for (const auto& [alias, name] : file->metadata())
        if (file->contains(name)) tensors_.emplace(alias, Place{file.get(), name});
  }

  /// Path of the file of weights, or of their index, as errors name it.
  const std::string& path() const { return path_; }
  /// All names, ascending.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, place] : tensors_) names.push_back(name);
    return names;
  }
  bool contains(const std::string& name) const { return tensors_.contains(name); }
  /// A text in the metadata of the first file; empty if there is none.
  std::string metadata(const std::string& key) const {
    if (files_.empty()) return "";
    const auto found = files_.front()->metadata().find(key);
    return found == files_.front()->metadata().end() ? "" : found->second;
  }
  /// Format and shape of a tensor. Throws DataError if there is no such tensor.
  const Entry& entry(const std::string& name) const { return place(name).file->entry(place(name).name); }
  /// Reads a tensor as SafetensorsFile::read does.
  template <class T>
  Tensor<T> read(const std::string& name) {
    return place(name).file->template read<T>(place(name).name);
  }
  /// Reads the bytes of a tensor as SafetensorsFile::read_bytes does.
  std::vector<std::byte> read_bytes(const std::string& name) { return place(name).file->read_bytes(place(name).name); }

 private:
  struct Place {
    SafetensorsFile* file;
    std::string name;
  };
  const Place& place(const std::string& name) const {
    const auto found = tensors_.find(name);
    check<DataError>(found != tensors_.end(), "safetensors", path_, ": holds no tensor ", json_string(name));
    return found->second;
  }

  std::string path_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place> tensors_;
};

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
