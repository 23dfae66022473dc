#pragma once
// TrainingRun: keeps a training run in a folder, so that whatever ends it, it can be resumed bit for bit.

#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/append_file.hpp"
#include "gptlite/core/folder_lock.hpp"
#include "gptlite/core/json_writer.hpp"
#include "gptlite/io/checkpoint.hpp"
#include "gptlite/io/folder_update.hpp"
#include "gptlite/io/json.hpp"
#include "gptlite/io/model_folder.hpp"
#include "gptlite/io/run_state.hpp"
#include "gptlite/train/loop.hpp"
#include "gptlite/version.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Options of a TrainingRun.
struct TrainingRunOptions {
  bool resume = false;                ///< continue from the newest checkpoint; from the beginning where there is none
  bool overwrite = false;             ///< remove the run that the folder holds
  std::int64_t save_interval = 1000;  ///< steps between checkpoints; 0: only once training ends or is interrupted
  Index keep_last = 2;                ///< checkpoints that are kept, 1 or more
  /// What a resumed run must have in common with the saved one: seeds, sizes, a checksum of the data.
  JsonObject config = {};
  /// What else the program writes into the folder, files and folders such as "best"; overwrite removes it.
  std::vector<std::string> outputs = {};
};

/// A training run in a folder: metrics.jsonl, and its state in checkpoints/.
///   train::Loop loop(optimizer, {.max_steps = 2000, .learning_rate = schedule});
///   io::TrainingRun run("runs/char", loop, model, {.resume = true});
///   run.add("batches", batches);
///   while (loop.next()) {
///     const auto [inputs, targets] = batches.next();
///     loop.backward(model.loss(inputs, targets), inputs.numel());
///     loop.step();
///   }
/// Checkpoints are saved every save_interval steps, once training ends, when it is interrupted, and if an exception
/// leaves the loop. A resumed run computes the same bits as one that was never interrupted. The folder is locked
/// against other programs. Loop, model and what is added must outlive the run; it must be made after them.
class TrainingRun : public train::RunKeeper {
 public:
  /// Keeps the state of the loop, its optimizer and the model: parameters, and dropout's random numbers. Throws
  /// ConfigError for options that cannot work, and if the folder holds a run or a model and neither `resume` nor
  /// `overwrite` is given; IoError if the folder cannot be written or another process is writing to it. Nothing in the
  /// folder changes before the first step.
  template <class O, class Model>
  TrainingRun(std::string folder, train::Loop<O>& loop, Model& model, TrainingRunOptions options = {})
      : folder_(std::move(folder)), options_(std::move(options)) {
    prepare();
    state_.add("loop", loop);
    state_.add_optimizer("optimizer", loop.optimizer());
    state_.add("model", model);
    print_ = [&loop](const std::string& text) { loop.print_above(text); };
    set_metrics_ = [&loop](const std::string& path, std::uint64_t keep) {
      return &loop.set_metrics(path, keep).file();
    };
    detach_ = [&loop] { loop.set_keeper(nullptr, 0); };
    loop.set_keeper(this, options_.save_interval);
  }
  /// Saves the state of the last whole step if an exception has ended the loop.
  ~TrainingRun() override {
    detach_();
    if (!begun_ || std::uncaught_exceptions() <= exceptions_ || marked_.integers == saved_) return;
    if (marked_.integers.at("loop.backward_calls") != 0) return;  // resumed within this step: gradients have changed
    try {
      write_checkpoint();
      print_("step " + std::to_string(step()) + " is saved in " + folder_ + ": resume continues from it");
    } catch (const std::exception& error) {
      print_(std::string("the state could not be saved: ") + error.what());
    }
  }

  /// Keeps more state: batches, an EarlyStopping, a WeightSnapshot, numbers (std::int64_t, double), another model; any
  /// object that RunState::add takes. Call it before the first step. Throws ConfigError for a name that is taken.
  template <class Object>
  void add(const std::string& name, Object& object) {
    check<ConfigError>(!begun_, "TrainingRun", "add() must be called before the first step");
    state_.add(name, object);
  }

  /// Appends text to a file of the folder. A resumed run cuts off what was appended after its checkpoint.
  void append(const std::string& name, std::string_view text) {
    auto file = files_.find(name);
    if (file == files_.end()) file = files_.emplace(name, std::make_unique<AppendFile>(path(name))).first;
    file->second->append(text);
  }
  /// Saves a checkpoint now, also between two calls of backward() of one step.
  void save() {
    check<ConfigError>(begun_, "TrainingRun", "save() must be called after the first next() of the loop");
    mark();
    save_marked();
  }

  /// Removes all checkpoints, for a program that is done and needs the space.
  void remove_checkpoints() { remove(checkpoints()); }

  const std::string& folder() const { return folder_; }
  /// Path of a file in the folder.
  std::string path(const std::string& name) const { return folder_ + '/' + name; }

  // For the loop. ----------------------------------------------------------------------------------------------------

  void begin() override {
    begun_ = true;
    exceptions_ = std::uncaught_exceptions();
    std::optional<Checkpoint> saved;
    if (options_.resume) saved = newest();
    if (options_.overwrite) clear();
    make_folder(checkpoints());
    if (saved)
      restore(*saved);
    else
      metrics_ = set_metrics_(path("metrics.jsonl"), 0);
    mark();
    if (saved) {
      saved_ = marked_.integers;
      print_("resumed at step " + std::to_string(step()));
    }
  }
  void mark() override {
    marked_ = state_.collect_numbers();
    marked_.integers[size_of("metrics.jsonl")] = static_cast<std::int64_t>(metrics_->size());
    for (const auto& item : files_)
      marked_.integers[size_of(item.first)] = static_cast<std::int64_t>(item.second->size());
  }
  void save_marked() override {
    if (marked_.integers != saved_) write_checkpoint();
  }

 private:
  static constexpr std::string_view size_prefix = "size.";  // of the text files' sizes among the integers
  static std::string size_of(const std::string& name) { return std::string(size_prefix) + name; }
  std::string checkpoints() const { return folder_ + "/checkpoints"; }
  static std::string version() {
    return std::to_string(GPTLITE_VERSION_MAJOR) + '.' + std::to_string(GPTLITE_VERSION_MINOR) + '.' +
           std::to_string(GPTLITE_VERSION_PATCH);
  }
  std::int64_t step() const { return marked_.integers.at("loop.step"); }

  // What the program may have written into the folder.
  std::vector<std::string> outputs() const {
    std::vector<std::string> names{"checkpoints", "metrics.jsonl", "adapter_config.json", "adapter_model.safetensors"};
    const std::vector<std::string> model = detail::folder_file_names(folder_);
    names.insert(names.end(), model.begin(), model.end());
    names.insert(names.end(), options_.outputs.begin(), options_.outputs.end());
    return names;
  }

  void prepare() {
    constexpr auto where = "TrainingRun";
    check<ConfigError>(options_.keep_last >= 1, where, "keep_last must be 1 or more, got ", options_.keep_last);
    check<ConfigError>(options_.save_interval >= 0, where, "save_interval must be 0 or positive, got ",
                       options_.save_interval);
    check<ConfigError>(!options_.resume || !options_.overwrite, where, "resume and overwrite exclude each other");
    make_folder(folder_);
    lock_.emplace(folder_);
    const std::vector<std::string> names = outputs();
    const auto found =
        std::find_if(names.begin(), names.end(), [&](const auto& name) { return path_exists(path(name)); });
    check<ConfigError>(found == names.end() || options_.resume || options_.overwrite, where, folder_,
                       ": holds a run or a model (", found == names.end() ? "" : *found,
                       "): continue it with --resume, or replace it with --overwrite");
    check<ConfigError>(!options_.resume || !path_exists(path("config.json")) || path_exists(checkpoints()), where,
                       folder_, ": holds a model but no checkpoint to resume");
    for (const std::string& name : options_.outputs)
      if (std::error_code error; std::filesystem::is_directory(path(name), error))
        FolderUpdate(path(name), {});  // throws if it cannot be written
  }

  void clear() {
    for (const std::string& name : outputs()) remove(path(name));
  }
  static void remove(const std::string& path) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    check<IoError>(!error, "TrainingRun", path, ": cannot remove: ", error.message());
  }

  // The newest checkpoint that can be read, if there is any.
  std::optional<Checkpoint> newest() {
    const std::vector<std::int64_t> steps = checkpoint_steps(checkpoints());
    std::string problem;
    for (std::size_t i = steps.size(); i-- > 0;) {
      try {
        Checkpoint checkpoint = load_checkpoint(checkpoint_path(checkpoints(), steps[i]));
        resumed_from_ = steps[i];
        return checkpoint;
      } catch (const DataError& error) {
        problem = error.what();
        damaged_.push_back(steps[i]);
        if (i > 0) print_(problem + "; trying the step before");
      }
    }
    check<DataError>(steps.empty(), "TrainingRun", folder_, ": no checkpoint can be read, the last tried: ", problem);
    return std::nullopt;
  }

  void restore(Checkpoint& saved) {
    check_config(saved.texts["config"]);
    std::map<std::string, std::uint64_t> sizes;
    std::erase_if(saved.integers, [&](const auto& item) {
      if (!item.first.starts_with(size_prefix)) return false;
      const std::string name = item.first.substr(size_prefix.size());
      // Before any file is opened and cut: a checkpoint may come from elsewhere.
      const std::filesystem::path file(name);
      check<DataError>(!file.has_root_path() && std::find(file.begin(), file.end(), "..") == file.end(), "TrainingRun",
                       checkpoint_path(checkpoints(), resumed_from_), ": names a file outside the run's folder, ",
                       json_string(name));
      sizes[name] = static_cast<std::uint64_t>(item.second);
      return true;
    });
    state_.assign(saved, checkpoint_path(checkpoints(), resumed_from_));
    metrics_ = set_metrics_(path("metrics.jsonl"), sizes["metrics.jsonl"]);
    sizes.erase("metrics.jsonl");
    for (const auto& [name, size] : sizes) files_[name] = std::make_unique<AppendFile>(path(name), size);
  }

  // Throws ConfigError for every member of `config` that differs from the saved one, or is in one of them alone. A
  // program that gives no config takes any.
  void check_config(const std::string& text) const {
    const nlohmann::json saved = parse_json(text.empty() ? "{}" : text, "checkpoint"),
                         here = parse_json(options_.config.text(), "config");
    check<DataError>(saved.is_object(), "TrainingRun", folder_, ": the checkpoint's config is not a JSON object");
    const auto text_of = [](const nlohmann::json& object, const std::string& key) {
      return object.contains(key) ? object.at(key).dump() : "nothing";
    };
    nlohmann::json all = here;
    if (!here.empty()) all.update(saved);
    std::string list;
    for (const auto& item : all.items())
      if (const std::string& key = item.key();
          !saved.contains(key) || !here.contains(key) || saved.at(key) != here.at(key))
        list += "\n  " + key + ": " + text_of(saved, key) + " in the checkpoint, " + text_of(here, key) + " now";
    check<ConfigError>(list.empty(), "TrainingRun", folder_, ": cannot resume with other settings:", list);
  }

  void write_checkpoint() {
    metrics_->sync();
    for (const auto& item : files_) item.second->sync();
    Checkpoint checkpoint = state_.collect(marked_.integers.at("loop.backward_calls") != 0);
    for (const auto& [name, number] : marked_.integers) checkpoint.integers[name] = number;
    for (const auto& [name, number] : marked_.reals) checkpoint.reals[name] = number;
    checkpoint.texts = {{"config", options_.config.text()}, {"version", version()}};
    save_checkpoint(checkpoint_path(checkpoints(), step()), checkpoint);
    saved_ = marked_.integers;
    // Only now: a checkpoint is never removed before its successor is safe.
    for (const std::int64_t damaged : std::exchange(damaged_, {}))
      if (damaged != step()) file_calls().remove(checkpoint_path(checkpoints(), damaged).c_str());
    rotate_checkpoints(checkpoints(), options_.keep_last, {step()});
  }

  std::string folder_;
  TrainingRunOptions options_;
  std::optional<FolderLock> lock_;
  RunState state_;
  std::function<void(const std::string&)> print_;
  std::function<AppendFile*(const std::string& path, std::uint64_t keep)> set_metrics_;
  std::function<void()> detach_;
  AppendFile* metrics_ = nullptr;
  std::map<std::string, std::unique_ptr<AppendFile>> files_;
  Checkpoint marked_;                          // numbers of the last whole state
  std::map<std::string, std::int64_t> saved_;  // those of the last checkpoint
  std::vector<std::int64_t> damaged_;          // checkpoints that could not be read
  std::int64_t resumed_from_ = 0;
  bool begun_ = false;
  int exceptions_ = 0;
};

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
