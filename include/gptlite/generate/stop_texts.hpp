#pragma once
// StopTexts: finds strings that end a generated text, and holds back text that may become one of them.

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/utf8.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Watches the decoded text of one sequence. It hands on only text that can no longer be part of a stop text, so that a
/// program that streams never shows one, whole or in part. A stop text may be spread over several tokens. If several
/// end at the same position, the longest counts. How the text is cut into pieces changes nothing.
///
///   text::StreamDecoder decoder(tokenizer);
///   StopTexts stops({"\nUser:"});
///   for (TokenId token : tokens) {
///     std::cout << stops.next(decoder.next(token));
///     if (stops.found()) break;
///   }
///   std::cout << stops.next(decoder.finish()) << stops.finish();
class StopTexts {
 public:
  /// Throws ConfigError for a stop text that is empty or not UTF-8. Without any, all text is handed on at once.
  explicit StopTexts(std::vector<std::string> stop_texts) : stop_texts_(std::move(stop_texts)) {
    for (const std::string& stop : stop_texts_) {
      check<ConfigError>(!stop.empty(), "StopTexts", "a stop text is empty: it would end every text at once");
      for (std::size_t at = 0; at < stop.size();) {
        const text::Utf8Sequence sequence = text::utf8_sequence(stop, at);
        check<ConfigError>(sequence.well_formed, "StopTexts", "the stop text \"", stop, "\" is not UTF-8 at byte ", at);
        at += sequence.length;
      }
    }
  }

  /// Takes the next piece of the text. Returns the text that may be shown now, in whole code points if the pieces are,
  /// as from text::StreamDecoder. Once a stop text is found, returns the text before it, and nothing from then on.
  std::string next(std::string_view piece) {
    if (found()) return {};
    std::string shown;
    for (const char byte : piece) {
      held_ += byte;
      for (const std::string& stop : stop_texts_)
        if (held_.ends_with(stop) && stop.size() > found_.size()) found_ = stop;
      if (found()) {
        shown.append(held_, 0, held_.size() - found_.size());
        held_.clear();
        return shown;
      }
      const std::size_t safe = held_.size() - possible_beginning();
      shown.append(held_, 0, safe);
      held_.erase(0, safe);
    }
    return shown;
  }
  /// Ends the text. Returns the text that was held back; nothing after a stop text.
  std::string finish() { return std::exchange(held_, {}); }

  /// True once a stop text was found.
  bool found() const { return !found_.empty(); }
  /// The stop text that was found; empty if none was.
  const std::string& stop_text() const { return found_; }

 private:
  /// Length of the longest suffix of held_ that is a prefix of a stop text.
  std::size_t possible_beginning() const {
    std::size_t longest = 0;
    for (const std::string& stop : stop_texts_)
      for (std::size_t length = std::min(held_.size(), stop.size() - 1); length > longest; --length)
        if (std::string_view(held_).ends_with(std::string_view(stop).substr(0, length))) longest = length;
    return longest;
  }

  std::vector<std::string> stop_texts_;
  std::string held_;  // held back: perhaps the start of a stop text
  std::string found_;
};

}  // namespace gptlite::inline GPTLITE_ABI
