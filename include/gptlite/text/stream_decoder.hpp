#pragma once
// StreamDecoder: the text of tokens that come one at a time. A character may be spread over several of them.

#include <string>

#include "gptlite/core/tensor.hpp"
#include "gptlite/text/utf8.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Gives whole code points only; U+FFFD stands for bytes that are not UTF-8. All it gives, joined, is the decoded text
/// (and for Gpt1Bpe the space after the last word). Of the tokenizer, which must outlive it, it uses id_to_bytes alone.
///
///   text::StreamDecoder decoder(tokenizer);
///   for (TokenId token : tokens) std::cout << decoder.next(token) << std::flush;
///   std::cout << decoder.finish();
template <class Tokenizer>
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}
  explicit StreamDecoder(const Tokenizer&&) = delete;  // it would be gone before the first token

  /// The code points that are whole with this token. Throws IndexError for a token outside the vocabulary.
  std::string next(TokenId token) {
    pending_ += tokenizer_->id_to_bytes(token);
    return take(false);
  }
  /// What is left, which is not whole. The decoder may be used again.
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
