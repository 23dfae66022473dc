#pragma once
// FolderUpdate: several files of a folder, such as a model's, that are replaced together or not at all.

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "gptlite/core/error.hpp"
#include "gptlite/core/files.hpp"
#include "gptlite/core/folder_lock.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

namespace detail {
/// True if two files have the same bytes.
inline bool equal_files(const std::string& a, const std::string& b) {
  std::error_code error;
  const auto size = std::filesystem::file_size(a, error);
  if (error || std::filesystem::file_size(b, error) != size || error) return false;
  std::ifstream one(a, std::ios::binary), other(b, std::ios::binary);
  std::vector<char> x(1 << 16), y(1 << 16);
  do {
    one.read(x.data(), static_cast<std::streamsize>(x.size()));
    other.read(y.data(), static_cast<std::streamsize>(y.size()));
    if (one.gcount() != other.gcount() || !std::equal(x.begin(), x.begin() + one.gcount(), y.begin())) return false;
  } while (one.gcount() > 0);
  return one.eof() && other.eof();
}
}  // namespace detail

/// Replaces files of a folder together:
///   FolderUpdate update(folder, {"tokenizer.json", "model.safetensors", "config.json"});
///   ... write files into update.staging() ...
///   update.commit();
/// Whatever fails and whenever the process is killed, the folder holds the old files or the new ones. What else is in
/// it stays. A folder that is new appears whole. Where several files of an existing model change, the folder is
/// exchanged for a new one, in one step, that has its other files as hard links; a program whose current folder it was
/// then stands in the old one. Where the file system cannot do that, the files are renamed one after the other.
class FolderUpdate {
 public:
  /// names: the files that belong together, the one that readers look for first at the end. Those that the update does
  /// not write are removed from the folder. Throws IoError if the folder or a missing parent cannot be made or written
  /// to.
  explicit FolderUpdate(std::string folder, std::vector<std::string> names)
      : folder_(std::move(folder)), names_(std::move(names)) {
    while (folder_.size() > 1 && folder_.ends_with('/')) folder_.pop_back();
    existed_ = path_exists(folder_);
    if (existed_)
      make_folder(folder_);  // throws if it is no folder
    else
      make_folder(detail::parent_of(folder_));
    for (int n = 0; !make_staging(n);) ++n;
  }
  ~FolderUpdate() { discard(); }
  FolderUpdate(const FolderUpdate&) = delete;
  FolderUpdate& operator=(const FolderUpdate&) = delete;

  /// The folder to write the new files to.
  const std::string& staging() const { return staging_; }

  /// Puts the new files in place. When it returns, they survive a loss of power. Throws IoError with the call, the path
  /// and the system's reason.
  void commit() {
    sync(staging_);
    if (!existed_) {
      if (calls_.rename(staging_.c_str(), folder_.c_str()) == 0) {
        staging_ = folder_;
        drop_lock();
        staging_.clear();
        sync(detail::parent_of(folder_));
        return;
      }
      if (errno != EEXIST && errno != ENOTEMPTY) fail("rename", "nothing was written");  // else another made it
    }
    std::vector<std::string> changed = staged(), stale;
    std::erase_if(changed,
                  [&](const auto& name) { return detail::equal_files(staging_ + '/' + name, folder_ + '/' + name); });
    bool old = false;
    for (const std::string& name : names_) {
      const bool present = path_exists(folder_ + '/' + name), written = path_exists(staging_ + '/' + name);
      old = old || present;
      if (present && !written) stale.push_back(name);
    }
    if (!old || changed.size() + stale.size() <= 1 || !exchange(stale)) replace_one_by_one(changed, stale);
    discard();
  }

 private:
  // Makes staging folder n. Returns false if a living process has it.
  bool make_staging(int n) {
    number_ = std::to_string(n);
    staging_ = folder_ + (existed_ ? "/.tmp-" : ".tmp-") + number_;
    if (calls_.make_folder(staging_.c_str()) < 0 && errno != EEXIST) {
      staging_.clear();
      fail("mkdir", "nothing was written");
    }
    try {
      lock_.emplace(staging_);
    } catch (const IoError&) {
      if (n < 1000) return false;
      staging_.clear();
      throw;
    }
    // What a killed process left.
    std::error_code ignored;
    for (const auto& left : std::filesystem::directory_iterator(staging_, ignored))
      if (left.path().filename() != ".lock") std::filesystem::remove_all(left.path(), ignored);
    if (existed_) remove_left(folder_ + ".tmp-" + number_);
    return true;
  }
  static void remove_left(const std::string& staging) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(std::filesystem::symlink_status(staging, ignored))) return;
    try {
      const FolderLock lock(staging);
      std::filesystem::remove_all(staging, ignored);
    } catch (const IoError&) {  // a living process has it
    }
  }

  // Names of the new files in the order in which they are put in place.
  std::vector<std::string> staged() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(staging_))
      if (entry.path().filename() != ".lock") found.push_back(entry.path().filename().string());
    const auto place = [&](const std::string& name) {
      const auto at = std::find(names_.begin(), names_.end(), name);
      return at == names_.end() ? std::ptrdiff_t{-1} : at - names_.begin();
    };
    std::sort(found.begin(), found.end(), [&](const std::string& a, const std::string& b) {
      return std::pair(place(a), a) < std::pair(place(b), b);
    });
    return found;
  }

  // Exchanges the folder for the staging folder, which gets what else the folder holds. Returns false, and leaves the
  // folder as it is, if the system cannot.
  bool exchange(const std::vector<std::string>& stale) {
    std::error_code error;
    const std::string real = std::filesystem::canonical(folder_, error).string();
    if (error) return false;
    drop_lock();
    const std::string beside = real + ".tmp-" + number_;
    if (calls_.rename(staging_.c_str(), beside.c_str()) < 0) return false;
    staging_ = beside;
    if (!link_others(real, beside, stale)) return false;
    std::filesystem::permissions(beside, std::filesystem::status(real, error).permissions(), error);
    if (calls_.sync_folder(beside.c_str()) < 0 || calls_.exchange(beside.c_str(), real.c_str()) < 0) return false;
    sync(detail::parent_of(real));
    return true;
  }

  // Gives the folder `to` what `from` has and it lacks, but the names in `leave` and folders of updates.
  bool link_others(const std::string& from, const std::string& to, const std::vector<std::string>& leave) {
    std::error_code unlisted, error;
    for (const auto& entry : std::filesystem::directory_iterator(from, unlisted)) {
      const std::string name = entry.path().filename().string(), target = to + '/' + name;
      if (std::find(leave.begin(), leave.end(), name) != leave.end() || name.starts_with(".tmp-")) continue;
      const auto type = entry.symlink_status(error).type();
      if (std::filesystem::exists(std::filesystem::symlink_status(target, error))) continue;
      bool made = false;
      if (type == std::filesystem::file_type::directory) {
        made = calls_.make_folder(target.c_str()) == 0 && link_others(entry.path().string(), target, {});
        std::filesystem::permissions(target, entry.status(error).permissions(), error);
      } else if (type == std::filesystem::file_type::symlink) {
        std::filesystem::copy_symlink(entry.path(), target, error);
        made = !error;
      } else if (type == std::filesystem::file_type::regular) {
        made = calls_.link(entry.path().string().c_str(), target.c_str()) == 0;
      }
      if (!made) return false;
    }
    return !unlisted && calls_.sync_folder(to.c_str()) == 0;
  }

  void replace_one_by_one(const std::vector<std::string>& changed, const std::vector<std::string>& stale) {
    bool first = true;
    const auto state = [&] {
      return std::exchange(first, false) ? "what stood there before is untouched"
                                         : "the folder holds files of two saves";
    };
    for (const std::string& name : stale) {
      if (calls_.remove((folder_ + '/' + name).c_str()) < 0) fail("unlink", state());
      first = false;
    }
    for (const std::string& name : changed) {
      if (calls_.rename((staging_ + '/' + name).c_str(), (folder_ + '/' + name).c_str()) < 0) fail("rename", state());
      first = false;
    }
    sync(folder_);
  }

  void sync(const std::string& folder) {
    if (detail::repeat_interrupted([&] { return calls_.sync_folder(folder.c_str()); }) < 0)
      fail("fsync", "a loss of power may undo what was written");
  }

  // Gives up the lock, and removes its file from where the staging folder is now.
  void drop_lock() {
    lock_.reset();
    calls_.remove((staging_ + "/.lock").c_str());
  }

  void discard() noexcept {
    if (staging_.empty()) return;
    lock_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(staging_, ignored);
    staging_.clear();
  }

  [[noreturn]] void fail(const char* call, const char* state) {
    detail::raise_io_error("FolderUpdate", folder_, call, state);
  }

  FileCalls& calls_ = file_calls();
  std::string folder_;
  std::vector<std::string> names_;
  bool existed_ = false;
  std::string number_, staging_;  // staging_ is empty once there is nothing to remove
  std::optional<FolderLock> lock_;
};

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
