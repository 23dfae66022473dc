#pragma once
// What holds for every tokenizer that was loaded.

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "gptlite/io/tokenizer_folder.hpp"
#include "gptlite/text/stream_decoder.hpp"
#include "gptlite/text/task_tokenizer.hpp"

namespace fuzz {

inline void check_tokenizer(const gptlite::text::Tokenizer& tokenizer, MemoryFiles& memory) {
  using namespace gptlite;
  const Index size = tokenizer.vocab_size();
  always(size > 0);
  // Texts of the vocabulary's own tokens too: merges and special tokens meet there.
  std::vector<std::string> texts{"a b", "the low  lower\n", "\xC3\xA9\xE2\x82\xAC", "<|endoftext|>x", ""};
  for (TokenId id = 0; id < static_cast<TokenId>(size < 300 ? size : 300); ++id) {
    const std::string token = tokenizer.id_to_token(id);
    always(tokenizer.token_to_id(token) == id);
    if (id >= static_cast<TokenId>(size) - 8) texts.back() += token;
  }
  text::StreamDecoder stream(tokenizer);
  texts.push_back(stream.next(static_cast<TokenId>(size - 1)) + stream.finish());

  std::vector<std::vector<TokenId>> encoded;
  for (const std::string& text : texts) {
    encoded.emplace_back();
    accepted([&] {
      encoded.back() = tokenizer.encode(text);
      for (const TokenId id : encoded.back()) always(id >= 0 && id < size);
      const std::string decoded = tokenizer.decode(encoded.back());
      const bool keeps_all = !std::holds_alternative<text::Gpt1Bpe>(tokenizer.variant()) &&
                             !std::holds_alternative<text::WordPiece>(tokenizer.variant());
      always(decoded == text || !keeps_all);
    });
  }
  always(!accepted([&] { tokenizer.id_to_bytes(static_cast<TokenId>(size)); }));
  always(!accepted([&] { tokenizer.id_to_bytes(-1); }));
  if (const auto end = tokenizer.end_of_text()) {
    const std::string token = tokenizer.id_to_token(*end);
    always(token == (std::holds_alternative<text::WordPiece>(tokenizer.variant()) ? "[SEP]" : "<|endoftext|>"));
  }
  accepted([&] {
    const text::TaskTokenizer with = text::with_task_tokens(tokenizer, size + 1);
    always(with.tokenizer.id_to_token(with.tokens.extract) == "<|extract|>");
  });

  // Written and read again, it is the same.
  const io::detail::TokenizerFiles written = io::detail::tokenizer_files(tokenizer);
  memory.files = {{"n/tokenizer.json", written.tokenizer.dump()}};
  const text::Tokenizer again = io::load_tokenizer("n");
  always(again.variant().index() == tokenizer.variant().index() && again.vocab_size() == size);
  always(again.special_tokens() == tokenizer.special_tokens());
  for (std::size_t i = 0; i < texts.size(); ++i) accepted([&] { always(again.encode(texts[i]) == encoded[i]); });
}

}  // namespace fuzz
