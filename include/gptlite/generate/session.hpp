#pragma once
// GenerationSession: generation in steps, for servers, GUIs and bindings. Sequences start and end independently.

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "gptlite/generate/decoder.hpp"
#include "gptlite/generate/generate_options.hpp"
#include "gptlite/generate/sampler.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Why a sequence ended. none: it is running, or the slot was never used. eos: its last token is one of the model's eos
/// tokens. stopped: by the caller, through stop() or on_token. failed: step() threw an exception.
enum class FinishReason { none, max_new_tokens, eos, stop_sequence, stopped, failed };

struct SessionOptions {
  /// Most tokens of a prompt that one step reads, rounded up to a multiple of 64: a long prompt then does not stall the
  /// other sequences. 0: the whole prompt at once, which reads about a tenth faster. The drawn tokens are the same.
  Index prompt_tokens_per_step = 256;
};

/// New tokens of one sequence.
struct SessionOutput {
  Index slot;
  std::vector<TokenId> tokens;  ///< one; several with a draft
  FinishReason finish_reason = FinishReason::none;
};

/// Generates sequences side by side in the slots of a Decoder (continuous batching). Each sequence has its own options
/// and starts and ends independently of the others.
///
///   GenerationSession<float> session(decoder);  // decoder.batch() slots
///   const Index slot = session.start(prompt, {.max_new_tokens = 50});
///   while (session.running() > 0)
///     for (const SessionOutput& output : session.step()) show(output.slot, output.tokens);
///
/// The decoder must outlive the session, and nothing else may use it while sequences run. Only one thread may use a
/// session at a time.
template <class T>
class GenerationSession {
 public:
  /// With up to this many slots, each sequence gets exactly the tokens that it gets alone, because a step splits its
  /// work into passes in which no sequence changes the rounding of another. With more slots a step is one pass, which
  /// is then faster, and the logits are those of the sequence alone up to rounding.
  static constexpr Index max_exact_slots = 3 * Decoder<T>::max_tokens_per_pass;

  /// Throws ConfigError if prompt_tokens_per_step is negative.
  explicit GenerationSession(Decoder<T>& decoder, SessionOptions options = {})
      : decoder_(decoder), sequences_(static_cast<std::size_t>(decoder.batch())) {
    const Index piece = options.prompt_tokens_per_step;
    check<ConfigError>(piece >= 0, where, "prompt_tokens_per_step must be 0 (all) or positive, got ", piece);
    prompt_piece_ = piece == 0 || piece > block_size() ? block_size() : round_up(piece, 64);
  }
  GenerationSession(const GenerationSession&) = delete;
  GenerationSession& operator=(const GenerationSession&) = delete;

  Index slots() const { return decoder_.batch(); }
  /// Number of running sequences.
  Index running() const { return std::count_if(sequences_.begin(), sequences_.end(), is_running); }
  /// True if a slot's sequence is running. This and all functions that take a slot throw IndexError if it does not
  /// exist.
  bool running(Index slot) const { return is_running(sequences_[index(slot)]); }
  /// Prompt and new tokens of the sequence that started last in a slot; empty if none ever did.
  const std::vector<TokenId>& tokens(Index slot) const { return sequences_[index(slot)].tokens; }
  /// Why the sequence that started last in a slot ended; none while it runs.
  FinishReason finish_reason(Index slot) const { return sequences_[index(slot)].finish_reason; }
  /// The first slot without a running sequence; nullopt if all are busy.
  std::optional<Index> free_slot() const {
    const auto found = std::find_if_not(sequences_.begin(), sequences_.end(), is_running);
    if (found == sequences_.end()) return {};
    return found - sequences_.begin();
  }

  /// Starts a sequence in a slot. The following steps read the prompt, or its last block_size tokens if it is longer.
  /// With max_new_tokens 0 the sequence ends at once. Throws Error if the slot is busy, ConfigError for an option that
  /// cannot work, DataError for an empty prompt, IndexError for a token outside the vocabulary; the slot is then
  /// unchanged.
  void start_in(Index slot, std::vector<TokenId> prompt, GenerateOptions options = {}) {
    check_outside_step("start_in");
    check<Error>(!running(slot), where, "slot ", slot, " is busy: step() until its sequence ends, or stop() it");
    sequences_[index(slot)] = Sequence(std::move(prompt), std::move(options), decoder_.config());
    decoder_.reset(slot);
  }
  /// Starts a sequence in the first free slot and returns the slot. Throws as start_in() does, and Error if no slot is
  /// free.
  Index start(std::vector<TokenId> prompt, GenerateOptions options = {}) {
    check_outside_step("start");
    const std::optional<Index> slot = free_slot();
    check<Error>(slot.has_value(), where, "all slots (", slots(),
                 ") are busy: step() until one is free, or stop() one");
    start_in(*slot, std::move(prompt), std::move(options));
    return *slot;
  }
  /// Ends a slot's sequence, also from within on_token. Does nothing if the sequence is not running.
  void stop(Index slot) {
    if (running(slot)) sequences_[index(slot)].finish(FinishReason::stopped);
  }

  /// Advances every running sequence: reads the next piece of its prompt, or its last token, and draws the next token
  /// once the prompt is read. Returns the sequences with new tokens, ordered by slot. If the sampler throws DataError
  /// because logits are not numbers, on_token throws, or there is no memory (OutOfMemory), all running sequences end as
  /// `failed`; others may be started.
  std::vector<SessionOutput> step() {
    check_outside_step("step");
    std::vector<SessionOutput> outputs;
    stepping_ = true;
    try {
      for (const std::vector<Index>& pass : passes())
        if (!read_with_draft(outputs)) read(pass, outputs);
    } catch (...) {
      stepping_ = false;
      for (Sequence& sequence : sequences_)
        if (is_running(sequence)) sequence.finish(FinishReason::failed);
      throw;
    }
    stepping_ = false;
    std::sort(outputs.begin(), outputs.end(), [](const auto& a, const auto& b) { return a.slot < b.slot; });
    for (SessionOutput& output : outputs) output.finish_reason = finish_reason(output.slot);
    return outputs;
  }

 private:
  static constexpr const char* where = "GenerationSession";

  struct Sequence {
    Sequence() = default;
    Sequence(std::vector<TokenId> prompt, GenerateOptions options, const GPTConfig& config)
        : tokens(std::move(prompt)),
          o(std::move(options)),
          sampler({o.temperature, o.top_k, o.top_p, o.min_p, o.repetition_penalty, o.seed}) {
      check<ConfigError>(o.max_new_tokens >= 0, "generate", "max_new_tokens must be 0 or positive, got ",
                         o.max_new_tokens);
      check<ConfigError>(o.context_shift >= 0 && o.context_shift <= config.block_size, "generate",
                         "context_shift must be in 0..block_size ", config.block_size, ", got ", o.context_shift);
      for (const std::vector<TokenId>& stop : o.stop)
        check<ConfigError>(!stop.empty(), "generate", "a stop sequence is empty");
      check<DataError>(!tokens.empty(), "generate", "the prompt is empty: give at least one token");
      check_tokens("generate", tokens, config.vocab_size);
      if (o.context_shift == 0) o.context_shift = std::max<Index>(1, config.block_size / 8);
      read_last(config.block_size);
      if (o.max_new_tokens == 0) finish(FinishReason::max_new_tokens);
    }

    void finish(FinishReason reason) {
      finish_reason = reason;
      unread.clear();
    }
    void read_last(Index count) {
      unread.assign(tokens.end() - std::min(count, static_cast<Index>(tokens.size())), tokens.end());
    }
    bool ends_with_stop() const {
      return std::any_of(o.stop.begin(), o.stop.end(), [&](const std::vector<TokenId>& stop) {
        return stop.size() <= tokens.size() && std::equal(stop.rbegin(), stop.rend(), tokens.rbegin());
      });
    }

    std::vector<TokenId> tokens, unread;  // a sequence is running as long as it has unread tokens
    GenerateOptions o;
    Sampler sampler{SamplerOptions{}};
    Index new_tokens = 0;
    std::size_t draft_length = 3;
    FinishReason finish_reason = FinishReason::none;
  };

  static bool is_running(const Sequence& sequence) { return !sequence.unread.empty(); }
  std::size_t index(Index slot) const {
    check<IndexError>(slot >= 0 && slot < slots(), where, "slot ", slot, " does not exist, the decoder's batch is ",
                      slots());
    return static_cast<std::size_t>(slot);
  }
  void check_outside_step(const char* function) const {
    check<Error>(!stepping_, where, function, "() was called by on_token: call it after step() has returned");
  }
  Index block_size() const { return decoder_.config().block_size; }

  /// Number of tokens of a sequence that the next step reads. The rest of a prompt is never so short that it would be
  /// multiplied as single tokens are, which rounds differently.
  Index piece_of(const Sequence& sequence) const {
    const Index unread = static_cast<Index>(sequence.unread.size());
    return unread - prompt_piece_ > Decoder<T>::max_tokens_per_pass ? prompt_piece_ : unread;
  }

  /// The running slots, grouped into passes over the weights. Up to max_tokens_per_pass rows are multiplied in one way
  /// and more rows in another, which rounds differently. Therefore short reads share passes of max_tokens_per_pass
  /// tokens, and long ones passes of as many sequences, because the head multiplies one row of each.
  std::vector<std::vector<Index>> passes() const {
    constexpr Index most = Decoder<T>::max_tokens_per_pass;
    const bool exact = slots() <= max_exact_slots;
    std::vector<std::vector<Index>> passes;
    std::array<std::vector<Index>, 2> open;  // slots of a pass with room left: short reads, long reads
    std::array<Index, 2> used = {};
    for (Index slot = 0; slot < slots(); ++slot) {
      if (!running(slot)) continue;
      const Index tokens = piece_of(sequences_[index(slot)]);
      const std::size_t kind = exact && tokens > most ? 1 : 0;
      const Index cost = kind == 0 ? tokens : 1;
      if (exact && used[kind] + cost > most) {
        passes.push_back(std::move(open[kind]));
        open[kind].clear();
        used[kind] = 0;
      }
      open[kind].push_back(slot);
      used[kind] += cost;
    }
    for (std::vector<Index>& pass : open)
      if (!pass.empty()) passes.push_back(std::move(pass));
    return passes;
  }

  void read(const std::vector<Index>& pass, std::vector<SessionOutput>& outputs) {
    std::vector<std::vector<TokenId>> tokens(sequences_.size());
    for (const Index slot : pass) {
      std::vector<TokenId>& unread = sequences_[index(slot)].unread;
      const auto end = unread.begin() + piece_of(sequences_[index(slot)]);
      tokens[index(slot)].assign(unread.begin(), end);
    }
    const Tensor<T> logits = decoder_.next_logits(tokens);
    for (const Index slot : pass) {
      Sequence& sequence = sequences_[index(slot)];
      if (!is_running(sequence)) continue;  // on_token of another sequence stopped it
      const auto read = static_cast<std::ptrdiff_t>(tokens[index(slot)].size());
      sequence.unread.erase(sequence.unread.begin(), sequence.unread.begin() + read);
      if (is_running(sequence)) continue;  // more of the prompt follows
      outputs.push_back({.slot = slot, .tokens = {}});
      draw(slot, logits.data() + slot * logits.shape()[1], outputs.back().tokens);
      shift_if_full(slot);
    }
  }

  /// Speculative decoding of a single sequence: reads its last token and the draft's guesses in one pass, and draws
  /// tokens until one differs from its guess. Returns false if there is nothing to guess.
  bool read_with_draft(std::vector<SessionOutput>& outputs) {
    if (!decoder_.has_draft() || slots() > 1 || sequences_[0].unread.size() != 1) return false;
    Sequence& sequence = sequences_[0];
    const std::vector<TokenId> guesses = draft(sequence);
    if (guesses.empty()) return false;
    std::vector<TokenId> tokens = sequence.unread;
    tokens.insert(tokens.end(), guesses.begin(), guesses.end());
    const Tensor<T> logits = decoder_.all_logits({tokens});
    outputs.push_back({.slot = 0, .tokens = {}});
    std::vector<TokenId>& drawn = outputs.back().tokens;
    draw(0, logits.data(), drawn);
    std::size_t right = 0;
    while (right < guesses.size() && is_running(sequence) && drawn.back() == guesses[right])
      draw(0, logits.data() + static_cast<Index>(++right) * logits.shape()[1], drawn);
    decoder_.truncate(0, decoder_.position(0) - static_cast<Index>(guesses.size() - right));
    sequence.draft_length = right == guesses.size() ? 2 * right + 1 : std::max<std::size_t>(right, 1);
    shift_if_full(0);
    return true;
  }
  /// Tokens that the draft expects next, drawn from its logits with the random numbers that the sequence itself will
  /// use. After wrong guesses there are fewer.
  std::vector<TokenId> draft(const Sequence& sequence) {
    const Index position = decoder_.position(0);
    const Index most = std::min({sequence.o.max_new_tokens - sequence.new_tokens - 1, block_size() - position - 1,
                                 Decoder<T>::max_tokens_per_pass - 1});
    const std::size_t count = std::min(static_cast<std::size_t>(most), sequence.draft_length);
    Sampler sampler = sequence.sampler;
    std::vector<TokenId> tokens = sequence.tokens, guesses;
    while (guesses.size() < count) {
      const Tensor<T> logits = decoder_.draft_logits({{tokens.back()}});
      guesses.push_back(sampler(logits.data(), drawable(), tokens));
      tokens.push_back(guesses.back());
    }
    decoder_.truncate(0, position);
    return guesses;
  }

  bool is_eos(TokenId token) const {
    const GPTConfig& config = decoder_.config();
    return config.special_tokens && config.special_tokens->is_eos(token);
  }
  /// Number of logits that tokens are drawn from.
  Index drawable() const { return decoder_.config().vocab_size - decoder_.config().unused_rows; }
  /// Draws the next token of a sequence whose tokens are all read. Ends the sequence if this is its last token.
  void draw(Index slot, const T* logits, std::vector<TokenId>& drawn) {
    Sequence& sequence = sequences_[index(slot)];
    const TokenId token = sequence.sampler(logits, drawable(), sequence.tokens);
    sequence.tokens.push_back(token);
    sequence.unread = {token};
    ++sequence.new_tokens;
    drawn.push_back(token);
    if (sequence.o.on_token && !sequence.o.on_token(token, slot)) stop(slot);
    if (!is_running(sequence)) return;
    if (!sequence.o.ignore_eos && is_eos(token))
      sequence.finish(FinishReason::eos);
    else if (sequence.ends_with_stop())
      sequence.finish(FinishReason::stop_sequence);
    else if (sequence.new_tokens == sequence.o.max_new_tokens)
      sequence.finish(FinishReason::max_new_tokens);
  }
  /// Shifts the context of a running sequence if it is full: block_size tokens are read.
  void shift_if_full(Index slot) {
    Sequence& sequence = sequences_[index(slot)];
    if (!is_running(sequence) || decoder_.position(slot) < block_size()) return;
    decoder_.reset(slot);
    sequence.read_last(block_size() + 1 - sequence.o.context_shift);
  }

  Decoder<T>& decoder_;
  std::vector<Sequence> sequences_;  // by slot
  Index prompt_piece_ = 0;
  bool stepping_ = false;
};

GPTLITE_COMPILED_CLASS(GenerationSession)

}  // namespace gptlite::inline GPTLITE_ABI
