// Checkpoints. The input is a file. Once more with all its checksums set right, so that what is behind them is reached.

#include "gptlite/io/checkpoint.hpp"

#include "fuzz/checksums.hpp"
#include "fuzz/fuzz.hpp"

namespace fuzz {

using namespace gptlite;

namespace {
void load(const std::string& path) {
  accepted([&] {
    const io::Checkpoint checkpoint = io::load_checkpoint(path);
    for (const auto& item : checkpoint.tensors)
      std::visit([](const auto& tensor) { always(tensor.defined()); }, item.second);
  });
}
}  // namespace

void checkpoint(std::string_view bytes) {
  MemoryFiles memory;
  memory.files["f"] = std::string(bytes);
  const io::FileCallsScope scope(memory);
  load("f");
  accepted([&] {
    set_checksums("f", "g");
    load("g");
  });
}

}  // namespace fuzz
