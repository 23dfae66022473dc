// vocab.json, merges.txt and added_tokens.json, cut at zero bytes.

#include "fuzz/fuzz.hpp"
#include "fuzz/tokenizer_oracle.hpp"

namespace fuzz {

void vocabulary(std::string_view bytes) {
  const std::vector<std::string> parts = parts_of(bytes, 3);
  MemoryFiles memory;
  memory.files["m/vocab.json"] = parts[0];
  if (parts.size() > 1) memory.files["m/merges.txt"] = parts[1];
  if (parts.size() > 2) memory.files["m/added_tokens.json"] = parts[2];
  const gptlite::io::FileCallsScope scope(memory);
  accepted([&] { check_tokenizer(gptlite::io::load_tokenizer("m"), memory); });
}

}  // namespace fuzz
