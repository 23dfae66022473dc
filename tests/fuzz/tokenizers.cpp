// The tokenizers on any bytes, in whole and token by token; vocabularies learned from them.

#include <string>

#include "fuzz/fuzz.hpp"
#include "gptlite/text/bpe_trainer.hpp"
#include "gptlite/text/byte_bpe.hpp"
#include "gptlite/text/char_tokenizer.hpp"
#include "gptlite/text/gpt1_bpe.hpp"
#include "gptlite/text/stream_decoder.hpp"
#include "gptlite/core/utf8.hpp"

namespace fuzz {

using namespace gptlite;

namespace {

// GPT-2's form: all bytes, a few merges, an end of text. Made once.
const text::ByteBpe& byte_bpe() {
  static const text::ByteBpe bpe =
      text::train_byte_bpe("low lower lowest the then there  12 123 \xC3\xA9t\xC3\xA9 low lower the the",
                           {.vocab_size = 275, .special_tokens = {"<|endoftext|>"}});
  return bpe;
}
// GPT-1's form: words end in </w>.
const text::Gpt1Bpe& gpt1_bpe() {
  static const text::Gpt1Bpe bpe({"<unk>", "l", "o", "w", "l</w>", "o</w>", "w</w>", "lo", "low</w>", "low"},
                                 {{"l", "o"}, {"lo", "w</w>"}, {"lo", "w"}}, {"<unk>"});
  return bpe;
}

// Decodes token by token.
template <class Tokenizer>
std::string streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& tokens) {
  text::StreamDecoder<Tokenizer> stream(tokenizer);
  std::string text;
  for (const TokenId token : tokens) text += stream.next(token);
  return text + stream.finish();
}

void check_tokenizers(std::string_view bytes) {
  const bool well_formed = accepted([&] { text::decode_utf8(bytes); });
  const bool encoded = accepted([&] {
    const std::vector<TokenId> tokens = byte_bpe().encode(bytes);
    always(byte_bpe().decode(tokens) == bytes && streamed(byte_bpe(), tokens) == bytes);
  });
  always(encoded == well_formed);
  std::vector<TokenId> any;  // tokens in any order, whose bytes may be no text
  for (const char byte : bytes) any.push_back(static_cast<unsigned char>(byte) + 10);
  text::decode_utf8(streamed(byte_bpe(), any));

  const bool encoded1 = accepted([&] {
    const std::vector<TokenId> tokens = gpt1_bpe().encode(bytes);
    const std::string decoded = gpt1_bpe().decode(tokens), text = streamed(gpt1_bpe(), tokens);
    always(text == decoded || text == decoded + ' ');
    // What remains is plain: it is read as the same words, but for <unk>, which is then a special token.
    always(gpt1_bpe().decode(gpt1_bpe().encode(decoded)) == decoded || decoded.find("<unk>") != decoded.npos);
  });
  always(encoded1 == well_formed);
  if (bytes.empty()) return;
  const bool learned = accepted([&] {
    const text::CharTokenizer characters(bytes);
    const std::vector<TokenId> tokens = characters.encode(bytes);
    always(characters.decode(tokens) == bytes && streamed(characters, tokens) == bytes);
  });
  always(learned == well_formed);
}

}  // namespace

void tokenizers(std::string_view bytes) {
  check_tokenizers(bytes);
  if (bytes.size() >= 50 || !bytes.ends_with("\n\n")) return;  // learning takes longer than the rest
  accepted([&] {
    const text::ByteBpe trained = text::train_byte_bpe(bytes, {.vocab_size = 262});
    always(trained.decode(trained.encode(bytes)) == bytes);
  });
}

}  // namespace fuzz
