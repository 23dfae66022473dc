#pragma once
// StreamDecoder: decodes tokens that come one at a time. A character may be spread over several of them.

#include <string>

#include "gptlite/core/tensor.hpp"
#include "gptlite/core/utf8.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Decodes tokens one at a time into whole code points; U+FFFD replaces bytes that are not UTF-8. Its results, joined,
/// are the decoded text (for Gpt1Bpe with a space after the last word). The tokenizer needs only id_to_bytes and must
/// outlive the decoder.
///
///   text::StreamDecoder decoder(tokenizer);
///   for (TokenId token : tokens) std::cout << decoder.next(token) << std::flush;
///   std::cout << decoder.finish();
template <class Tokenizer>
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}
  explicit StreamDecoder(const Tokenizer&&) = delete;  // it would be gone before the first token

  /// Takes the next token. Returns the code points that it completes. Throws IndexError for a token outside the
  /// vocabulary.
  std::string next(TokenId token) {
    pending_ += tokenizer_->id_to_bytes(token);
    return take(false);
  }
  /// Ends the text. Returns U+FFFD if a code point is incomplete, else nothing. The decoder may then be used again.
  std::string finish() { return take(true); }

 private:
  std::string take(bool all) {
    std::string text;
    std::size_t at = 0;
    while (at < pending_.size()) {
      const Utf8Sequence sequence = utf8_sequence(pending_, at);
      if (sequence.cut_off && !all) break;
      append_utf8(text, sequence.point);
      at += sequence.length;
    }
    pending_.erase(0, at);
    return text;
  }

  const Tokenizer* tokenizer_;
  std::string pending_;
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
