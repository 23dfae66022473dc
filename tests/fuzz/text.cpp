// Text: UTF-8 in whole and in pieces, GPT-2's words, the tokenizers on any bytes, and numbers and names.

#include <cmath>
#include <cstdint>
#include <string>

#include "fuzz/fuzz.hpp"
#include "gptlite/core/json_writer.hpp"
#include "gptlite/core/parse_number.hpp"
#include "gptlite/io/json.hpp"
#include "gptlite/models/task.hpp"
#include "gptlite/text/bpe_trainer.hpp"
#include "gptlite/text/byte_bpe.hpp"
#include "gptlite/text/char_tokenizer.hpp"
#include "gptlite/text/gpt1_bpe.hpp"
#include "gptlite/text/stream_decoder.hpp"
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

// Decodes token by token.
template <class Tokenizer>
std::string streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& tokens) {
  text::StreamDecoder<Tokenizer> stream(tokenizer);
  std::string text;
  for (const TokenId token : tokens) text += stream.next(token);
  return text + stream.finish();
}

// UTF-8 is what decodes to code points that encode to the same bytes.
bool check_utf8(std::string_view bytes) {
  std::string again;
  const bool well_formed = accepted([&] {
    for (const char32_t point : text::decode_utf8(bytes)) {
      always(point < 0xD800 || (point >= 0xE000 && point <= 0x10FFFF));
      text::append_utf8(again, point);
    }
  });
  always(!well_formed || again == bytes);
  std::size_t at = 0;
  while (at < bytes.size()) {
    const text::Utf8Sequence sequence = text::utf8_sequence(bytes, at);
    always(sequence.length > 0 && at + sequence.length <= bytes.size());
    always(sequence.well_formed || (!well_formed && sequence.point == U'\uFFFD'));
    at += sequence.length;
  }
  // nlohmann-json's own decoder agrees, and what is written without it is read by it.
  const std::string quoted = JsonObject().add("", bytes).text();
  always(nlohmann::json::accept(quoted) == well_formed);
  if (well_formed) always(nlohmann::json::parse(quoted)[""].get_ref<const std::string&>() == bytes);
  return well_formed;
}

void check_tokenizers(std::string_view bytes, bool well_formed) {
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

template <class Number>
void check_number(std::string_view bytes) {
  Number number = 0, again = 0;
  if (!parse_number(bytes, number)) return;
  if constexpr (std::is_floating_point_v<Number>) {
    if (std::isnan(number)) return;
  }
  const std::string digits = JsonObject().add("", number).text();  // {"": 3}
  if (digits.ends_with("null}")) return;                           // infinity
  always(parse_number(digits.substr(5, digits.size() - 6), again) && again == number);
}

}  // namespace

void text(std::string_view bytes) {
  const bool well_formed = check_utf8(bytes);
  check_tokenizers(bytes, well_formed);
  if (bytes.size() < 50 && bytes.ends_with('\n'))  // few, since learning takes longer than the rest
    accepted([&] {
      const text::ByteBpe trained = text::train_byte_bpe(bytes, {.vocab_size = 262});
      always(trained.decode(trained.encode(bytes)) == bytes);
    });
  check_number<std::int64_t>(bytes);
  check_number<double>(bytes);
  if (const auto task = try_parse<Task>(bytes)) always(name_of(*task) == bytes);
  if (!try_parse<Task>(bytes)) always(!accepted([&] { parse<Task>(bytes); }));
}

}  // namespace fuzz
