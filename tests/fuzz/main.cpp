// The entry point of libFuzzer. Each target is a program: GPTLITE_FUZZ_TARGET is its name.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fuzz {
void GPTLITE_FUZZ_TARGET(std::string_view bytes);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::GPTLITE_FUZZ_TARGET(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
