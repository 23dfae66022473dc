// Text: UTF-8 in whole and in pieces, and the tokenizers on any bytes.

#include <cstdint>
#include <string>

#include "fuzz/fuzz.hpp"
#include "gptlite/core/parse_number.hpp"
#include "gptlite/text/bpe_trainer.hpp"
#include "gptlite/text/byte_bpe.hpp"
#include "gptlite/text/char_tokenizer.hpp"
#include "gptlite/text/gpt1_bpe.hpp"
#include "gptlite/text/stream_decoder.hpp"
#include "gptlite/text/tokenizer.hpp"
#include "gptlite/text/utf8.hpp"

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
}  // namespace

void text(std::string_view bytes) {
  const bool well_formed = accepted([&] { text::decode_utf8(bytes); });
  // GPT-2's tokenizer gives back what it read, in whole and token by token.
  accepted([&] {
    const std::vector<TokenId> tokens = byte_bpe().encode(bytes);
    always(byte_bpe().decode(tokens) == bytes);
    text::StreamDecoder<text::ByteBpe> stream(byte_bpe());
    std::string streamed;
    for (const TokenId token : tokens) streamed += stream.next(token);
    streamed += stream.finish();
    always(!well_formed || streamed == bytes);
  });
  accepted([&] { gpt1_bpe().decode(gpt1_bpe().encode(bytes)); });
  accepted([&] {
    const text::CharTokenizer characters{std::string(bytes)};
    always(characters.decode(characters.encode(bytes)) == bytes);
  });
  if (bytes.size() < 50)
    accepted([&] {
      const text::ByteBpe trained = text::train_byte_bpe(std::string(bytes), {.vocab_size = 262});
      always(trained.decode(trained.encode(bytes)) == bytes);
    });
  std::int64_t whole = 0;
  double real = 0;
  parse_number(bytes, whole);
  parse_number(bytes, real);
}

}  // namespace fuzz
