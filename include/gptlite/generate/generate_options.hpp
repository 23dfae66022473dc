#pragma once
// GenerateOptions: how one sequence is continued, by generate() and by a GenerationSession.

#include <cstdint>
#include <functional>
#include <vector>

#include "gptlite/generate/decoder.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Options of one generated sequence.
struct GenerateOptions {
  Index max_new_tokens = 100;
  double temperature = 1;  ///< 0 is greedy; see SamplerOptions for this and the next four
  Index top_k = 0;
  double top_p = 1;
  double min_p = 0;
  double repetition_penalty = 1;
  std::uint64_t seed = 1337;  ///< generate() draws sequence i of a batch with seed + i
  /// Stop sequences, in tokens: generation ends as soon as the sequence ends with one of them, which it keeps.
  std::vector<std::vector<TokenId>> stop = {};
  /// Generation ends as soon as one of the model's eos tokens (GPTConfig::special_tokens) is drawn, which the sequence
  /// keeps. True: it goes on.
  bool ignore_eos = false;
  /// Called with each new token and the number of its sequence (in a session: its slot) as soon as the token is drawn.
  /// If it returns false, the sequence ends. To cancel from another thread, return false once an atomic flag is set.
  std::function<bool(TokenId token, Index sequence)> on_token = {};
  /// When the context is full, drop this many oldest tokens and re-read the rest. 1: exact sliding window (slow); 0:
  /// block_size / 8.
  Index context_shift = 0;
  WeightFormat weights = WeightFormat::fp32;  ///< DecoderOptions::weights of the Decoder that generate(model) makes
  bool draft = false;                         ///< DecoderOptions::draft of the same Decoder
};

}  // namespace gptlite::inline GPTLITE_ABI
