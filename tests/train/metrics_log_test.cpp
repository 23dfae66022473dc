// MetricsLog: a file that is complete after every line, and what cannot be written.

#include "gptlite/train/metrics_log.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

TEST_CASE("a metrics file is complete after every line") {
  const TemporaryFolder folder;
  const std::string path = folder.file("metrics.jsonl");
  train::MetricsLog log(path);
  CHECK(bytes_of(path).empty());
  log.write(JsonObject().add("step", 1));
  CHECK(bytes_of(path) == "{\"step\": 1}\n");
  log.write(JsonObject().add("step", 2).add("loss", 0.5));
  CHECK(bytes_of(path) == "{\"step\": 1}\n{\"step\": 2, \"loss\": 0.5}\n");
}

TEST_CASE("a metrics file that cannot be opened is refused with its path and the reason") {
  const TemporaryFolder folder;
  const std::string path = folder.file("nothing/metrics.jsonl");
  CHECK(message_of<IoError>([&] { train::MetricsLog log(path); }) ==
        "[AppendFile] " + path + ": open failed: No such file or directory; nothing was written: create its folder");
}

TEST_CASE("a full disk is reported when a line cannot be written") {
  if (!std::filesystem::exists("/dev/full")) return;
  train::MetricsLog log("/dev/full");
  CHECK(message_of<IoError>([&] { log.write(JsonObject().add("step", 1)); }) ==
        "[AppendFile] /dev/full: write failed: No space left on device; what was written before is untouched: free space");
}
