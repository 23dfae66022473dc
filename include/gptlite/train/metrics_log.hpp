#pragma once
// MetricsLog: a run's numbers as JSON Lines, one object per line, complete after every line.

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "gptlite/core/error.hpp"
#include "gptlite/core/json_writer.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Writes objects to a new file, one per line. Throws IoError with path and reason if it cannot be written.
class MetricsLog {
 public:
  explicit MetricsLog(const std::string& path) : path_(path), file_(path) { require_good(); }

  /// Appends one line and flushes it.
  void write(const JsonObject& object) {
    file_ << object.text() << '\n' << std::flush;
    require_good();
  }

 private:
  void require_good() const {
    check<IoError>(file_.good(), "metrics", path_, ": cannot write: ", std::strerror(errno));
  }
  std::string path_;
  std::ofstream file_;
};

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
