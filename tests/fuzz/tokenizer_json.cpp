// tokenizer.json; a tokenizer that is accepted encodes and decodes, and is written so that it is the same tokenizer.

#include "fuzz/fuzz.hpp"
#include "fuzz/tokenizer_oracle.hpp"

namespace fuzz {

void tokenizer_json(std::string_view bytes) {
  MemoryFiles memory;
  memory.files["m/tokenizer.json"] = std::string(bytes);
  const gptlite::io::FileCallsScope scope(memory);
  accepted([&] { check_tokenizer(gptlite::io::load_tokenizer("m"), memory); });
}

}  // namespace fuzz
