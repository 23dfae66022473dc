// Checkpoints: what is saved comes back, every changed byte is found, and which ones are kept.

#include "gptlite/io/checkpoint.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "gptlite/core/random.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

io::Checkpoint small_checkpoint() {
  return {.tensors = {{"a", Tensor<float>::from({1, -2, 3, 4}, {2, 2})}, {"b", Tensor<double>::from({0.1, 0.2})}},
          .integers = {{"step", 7}, {"most", std::numeric_limits<std::int64_t>::min()}},
          .reals = {{"loss", 0.1}, {"none", -std::numeric_limits<double>::infinity()}},
          .texts = {{"config", R"({"seed": 1})"}}};
}

std::vector<std::int64_t> steps_in(const std::string& folder) { return io::checkpoint_steps(folder); }

}  // namespace

TEST_CASE("a checkpoint comes back bit for bit") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x.safetensors");
  io::Checkpoint saved = small_checkpoint();
  saved.reals["nan"] = std::nan("");
  io::save_checkpoint(path, saved);
  io::Checkpoint loaded = io::load_checkpoint(path);
  CHECK(std::isnan(loaded.reals.at("nan")));
  loaded.reals.erase("nan");
  const io::Checkpoint expected = small_checkpoint();
  CHECK(loaded.integers == expected.integers);
  CHECK(loaded.reals == expected.reals);
  CHECK(loaded.texts == expected.texts);
  REQUIRE(loaded.tensors.size() == 2);
  const auto& a = std::get<Tensor<float>>(loaded.tensors.at("a"));
  CHECK(a.shape() == Shape{2, 2});
  CHECK(std::equal(a.data(), a.data() + 4, std::get<Tensor<float>>(expected.tensors.at("a")).data()));
  CHECK(std::get<Tensor<double>>(loaded.tensors.at("b")).data()[1] == 0.2);
}

TEST_CASE("no changed byte of a checkpoint goes unnoticed") {
  const TemporaryFolder folder;
  io::save_checkpoint(folder.file("x.safetensors"), small_checkpoint());
  const std::string bytes = bytes_of(folder.file("x.safetensors"));
  fuzz::MemoryFiles memory;
  const io::FileCallsScope scope(memory);
  memory.files["x"] = bytes;
  CHECK_NOTHROW(io::load_checkpoint("x"));
  int corrupted = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      memory.files["x"] = bytes;
      memory.files["x"][i] = static_cast<char>(bytes[i] ^ (1 << bit));
      const std::string message = message_of<DataError>([] { io::load_checkpoint("x"); });
      if (message == "no exception") FAIL_CHECK("bit ", bit, " of byte ", i);
      corrupted += message.find("corrupted") != message.npos ? 1 : 0;
    }
  CHECK(corrupted > 100);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    memory.files["x"] = bytes.substr(0, size);
    CHECK_THROWS_AS(io::load_checkpoint("x"), DataError);
  }
}

TEST_CASE("the error names the tensor, and files that are no checkpoint are refused") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x.safetensors");
  io::save_checkpoint(path, small_checkpoint());
  std::string bytes = bytes_of(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  folder.file("x.safetensors", bytes);
  CHECK(message_of<DataError>([&] { io::load_checkpoint(path); }) ==
        "[load_checkpoint] " + path + ": tensor \"a\" corrupted");
  // Two tensors of one shape whose names were exchanged.
  io::Checkpoint twins{.tensors = {{"p", Tensor<float>::from({1})}, {"q", Tensor<float>::from({2})}}};
  io::save_checkpoint(path, twins);
  io::SafetensorsFile file(path);
  io::save_safetensors(path, {{"p", Tensor<float>::from({2})}, {"q", Tensor<float>::from({1})}}, file.metadata());
  CHECK(message_of<DataError>([&] { io::load_checkpoint(path); }) ==
        "[load_checkpoint] " + path + ": tensor \"p\" corrupted");
  io::save_safetensors(path, twins.tensors, {{"format", "pt"}});
  CHECK(message_of<DataError>([&] { io::load_checkpoint(path); }) ==
        "[load_checkpoint] " + path + ": no checkpoint of this version (\"gptlite checkpoint 1\")");
}

TEST_CASE("checkpoints are ordered by number; other files are passed over") {
  const TemporaryFolder folder;
  const std::string path = folder.path.string();
  CHECK(steps_in(folder.file("nothing")).empty());
  for (const std::int64_t step : {9, 10, 100'000'000, 99'999'999, 0})
    folder.file(io::checkpoint_path("", step).substr(1), "x");
  for (const char* other : {"step-.safetensors", "step-1x.safetensors", "step-5.safetensors",
                            "step--0000005.safetensors", "step-00000012.safetensors.tmp-0", "best.safetensors"})
    folder.file(other, "x");
  CHECK(steps_in(path) == std::vector<std::int64_t>{0, 9, 10, 99'999'999, 100'000'000});
}

TEST_CASE("rotation keeps the newest, the one just written and the best, in a thousand sequences") {
  Generator random(5);
  for (int sequence = 0; sequence < 1000; ++sequence) {
    const TemporaryFolder folder;
    const std::string path = folder.path.string();
    const Index keep_last = 1 + random.below(4);
    std::int64_t step = 0, best = -1;
    std::set<std::int64_t> all;
    for (int save = 0; save < 6; ++save) {
      step = random.below(8) == 0 ? random.below(step + 1) : step + 1 + random.below(1000);  // some runs go back
      folder.file(io::checkpoint_path("", step).substr(1), "x");
      all.insert(step);
      if (best < 0 || random.below(3) == 0) best = step;
      io::rotate_checkpoints(path, keep_last, {step, best});
      const std::vector<std::int64_t> left = steps_in(path);
      const std::set<std::int64_t> kept(left.begin(), left.end());
      if (!kept.contains(step) || !kept.contains(best) || !kept.contains(*all.rbegin()))
        FAIL_CHECK("sequence ", sequence, ", step ", step);
      CHECK(kept.size() <= static_cast<std::size_t>(keep_last) + 2);
      CHECK(kept.size() >= std::min(static_cast<std::size_t>(keep_last), all.size()));
      all = kept;
    }
  }
  CHECK(message_of<ConfigError>([] { io::rotate_checkpoints(".", 0); }) ==
        "[rotate_checkpoints] keep_last must be 1 or more, got 0");
}
