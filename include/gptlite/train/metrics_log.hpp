#pragma once
// MetricsLog: a run's numbers as JSON Lines, one object per line, complete after every line.

#include <cstdint>
#include <string>

#include "gptlite/core/append_file.hpp"
#include "gptlite/core/json_writer.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Writes objects to a file, one per line. Each line is handed to the system whole. Throws IoError as AppendFile does.
class MetricsLog {
 public:
  /// Empties the file, or makes it. With `keep`, continues it after its first `keep` bytes.
  explicit MetricsLog(const std::string& path, std::uint64_t keep = 0) : file_(path, keep) {}

  /// Appends one line.
  void write(const JsonObject& object) { file_.append(object.text() + '\n'); }
  /// The file, for its size and to make it survive a loss of power.
  io::AppendFile& file() { return file_; }

 private:
  io::AppendFile file_;
};

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
