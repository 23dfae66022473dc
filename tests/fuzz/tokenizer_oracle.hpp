#pragma once
// What holds for every tokenizer that was loaded.

#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "gptlite/io/tokenizer_folder.hpp"
#include "gptlite/text/task_tokenizer.hpp"

namespace fuzz {

inline void check_tokenizer(const gptlite::text::Tokenizer& tokenizer, MemoryFiles& memory) {
  using namespace gptlite;
  const Index size = tokenizer.vocab_size();
  always(size > 0);
  std::vector<std::vector<TokenId>> encoded;
  const std::vector<std::string> texts{"a b", "the low  lower\n", "\xC3\xA9\xE2\x82\xAC", "<|endoftext|>x"};
  for (const std::string& text : texts) {
    encoded.emplace_back();
    accepted([&] {
      encoded.back() = tokenizer.encode(text);
      for (const TokenId id : encoded.back()) always(id >= 0 && id < size);
      tokenizer.decode(encoded.back());
    });
  }
  for (TokenId id = 0; id < static_cast<TokenId>(size < 300 ? size : 300); ++id) {
    tokenizer.id_to_bytes(id);
    always(tokenizer.token_to_id(tokenizer.id_to_token(id)).has_value());
  }
  always(!accepted([&] { tokenizer.id_to_bytes(static_cast<TokenId>(size)); }));
  tokenizer.end_of_text();
  accepted([&] { text::with_task_tokens(tokenizer, size); });
  // Written and read again, it is the same.
  memory.files = {{"n/tokenizer.json", io::detail::tokenizer_files(tokenizer).tokenizer.dump()}};
  const text::Tokenizer again = io::load_tokenizer("n");
  always(again.vocab_size() == size);
  for (std::size_t i = 0; i < texts.size(); ++i) accepted([&] { always(again.encode(texts[i]) == encoded[i]); });
}

}  // namespace fuzz
