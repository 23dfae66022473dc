// GenerationSession: sequences that start and end at different times have the tokens that they have alone.

#include "gptlite/generate/session.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>
#include <vector>

#include "gptlite/generate/generate.hpp"
#include "support/sanitizers.hpp"
#include "support/throws.hpp"

using namespace gptlite;
using Tokens = std::vector<TokenId>;

namespace {

// A model whose tokens tell whether logits have the same bits: tokens come in pairs whose embeddings differ by the last
// bit of each number, so that rounding decides which of a pair is the likelier one. Contexts become full, with a
// window.
template <class T = float>
GPT<T> session_model() {
  GPT<T> model({.vocab_size = 300,
                .block_size = 96,
                .n_layer = 2,
                .n_head = 2,
                .n_embd = 96,
                .window = 50,
                .initializer_range = 0.2});
  T* wte = model.wte.weight.data();
  for (Index token = 1; token < 300; token += 2)
    for (Index i = 0; i < 96; ++i)
      wte[token * 96 + i] = std::nextafter(wte[(token - 1) * 96 + i], T((token * 7 + i * i) % 5 < 2 ? 9 : -9));
  return model;
}
Tokens prompt_of(Index length, Index number) {
  Tokens tokens(static_cast<std::size_t>(length));
  for (Index i = 0; i < length; ++i)
    tokens[static_cast<std::size_t>(i)] = static_cast<TokenId>((i * i + 17 * number + 3 * i) % 300);
  return tokens;
}
// Sequences of every kind: prompts of few and of many tokens, and longer than block_size.
Tokens prompt(Index number) {
  return prompt_of(std::vector<Index>{1, 5, 8, 9, 40, 70, 120}[static_cast<std::size_t>(number % 7)], number);
}
GenerateOptions options_of(Index number) {
  GenerateOptions options{.max_new_tokens = 10 + 13 * (number % 5), .seed = static_cast<std::uint64_t>(number)};
  if (number % 3 == 1) options.temperature = 0;
  if (number % 4 == 2) options.top_k = 20;
  if (number % 4 == 3) options.repetition_penalty = 1.3;
  if (number % 5 == 4) options.context_shift = 40;
  return options;
}

}  // namespace

TEST_CASE("sequences that start and end at different times have the tokens of each alone") {
  const GPT<float> model = session_model();
  for (const WeightFormat format : {WeightFormat::fp32, WeightFormat::bf16, WeightFormat::int8})
    for (const Index batch : {1, 3, 8, 20}) {
      CAPTURE(batch);
      Decoder<float> alone(model, {.weights = format}), decoder(model, {.batch = batch, .weights = format});
      constexpr Index count = thread_sanitizer ? 10 : 40;
      GenerationSession<float> session(decoder, {.prompt_tokens_per_step = 64});
      std::vector<Index> number_of(static_cast<std::size_t>(batch));
      std::map<Index, Tokens> streamed;
      Index next = 0, step = 0;
      const auto start_some = [&] {
        const Index most = step == 0 ? batch : 1 + step % 3;
        for (Index started = 0; started < most && next < count && session.free_slot(); ++started) {
          const Index slot = session.start(prompt(next), options_of(next));
          streamed[next] = prompt(next);
          number_of[static_cast<std::size_t>(slot)] = next++;
        }
      };
      for (start_some(); session.running() > 0; ++step, start_some())
        for (const SessionOutput& output : session.step()) {
          const Index number = number_of[static_cast<std::size_t>(output.slot)];
          Tokens& tokens = streamed[number];
          tokens.insert(tokens.end(), output.tokens.begin(), output.tokens.end());
          CHECK(session.tokens(output.slot) == tokens);
          CHECK(session.running(output.slot) == (output.finish_reason == FinishReason::none));
          CHECK(session.finish_reason(output.slot) == output.finish_reason);
          // One in five is stopped by the caller: what it has is the beginning of what it has alone.
          if (number % 5 == 3 && tokens.size() > prompt(number).size() + 4) session.stop(output.slot);
        }
      REQUIRE(next == count);
      for (Index number = 0; number < count; ++number) {
        CAPTURE(number);
        Tokens expected = generate(alone, {prompt(number)}, options_of(number)).front();
        if (number % 5 == 3) expected.resize(prompt(number).size() + 5);
        CHECK(streamed[number] == expected);
      }
    }
}

TEST_CASE("more slots than max_exact_slots share passes, and agree to rounding") {
  const GPT<double> model = session_model<double>();
  constexpr Index slots = GenerationSession<double>::max_exact_slots + 6;
  Decoder<double> alone(model), decoder(model, {.batch = slots});
  GenerationSession<double> session(decoder);
  const auto options = [](Index slot) {
    return GenerateOptions{.max_new_tokens = 5 + slot % 4, .seed = static_cast<std::uint64_t>(slot)};
  };
  for (Index slot = 0; slot < slots; ++slot) session.start_in(slot, prompt(slot), options(slot));
  while (session.running() > 0) session.step();
  for (Index slot = 0; slot < slots; ++slot)
    CHECK(session.tokens(slot) == generate(alone, {prompt(slot)}, options(slot)).front());
}

TEST_CASE("a draft brings several tokens in a step, and the same ones") {
  const GPT<float> model = session_model();
  Decoder<float> plain(model), drafting(model, {.draft = true});
  GenerationSession<float> session(drafting);
  for (Index number = 0; number < 8; ++number) {
    CAPTURE(number);
    session.start_in(0, prompt(number), options_of(number));
    Tokens tokens = prompt(number);
    std::size_t longest = 0;
    while (session.running() > 0)
      for (const SessionOutput& output : session.step()) {
        longest = std::max(longest, output.tokens.size());
        tokens.insert(tokens.end(), output.tokens.begin(), output.tokens.end());
      }
    CHECK(tokens == generate(plain, {prompt(number)}, options_of(number)).front());
    CHECK(session.tokens(0) == tokens);
    CHECK(longest > 1);
    CHECK(longest <= Decoder<float>::max_tokens_per_pass);
  }
}

TEST_CASE("each sequence says why it ended, and its slot is free then") {
  const GPT<float> model = session_model();
  Decoder<float> decoder(model, {.batch = 5});
  GenerationSession<float> session(decoder);
  CHECK(session.slots() == 5);
  CHECK(session.running() == 0);
  CHECK(session.step().empty());
  CHECK(session.tokens(4).empty());
  CHECK(session.finish_reason(4) == FinishReason::none);

  const Tokens alone = generate(model, {7}, {.max_new_tokens = 3, .temperature = 0});
  CHECK(session.start({7}, {.max_new_tokens = 3, .temperature = 0}) == 0);
  CHECK(session.start({7}, {.temperature = 0, .stop = {{1, 2}, {7, alone[1], alone[2]}}}) == 1);
  CHECK(session.start({7}, {.on_token = [](TokenId, Index slot) { return slot != 2; }}) == 2);
  CHECK(session.start({7}, {.max_new_tokens = 50}) == 3);
  CHECK(session.start({7}, {.max_new_tokens = 0}) == 4);
  CHECK(session.finish_reason(4) == FinishReason::max_new_tokens);
  CHECK_FALSE(session.running(4));
  CHECK(session.running() == 4);
  CHECK(session.free_slot() == 4);

  std::vector<SessionOutput> outputs = session.step();
  REQUIRE(outputs.size() == 4);
  for (Index slot = 0; slot < 4; ++slot) {
    const SessionOutput& output = outputs[static_cast<std::size_t>(slot)];
    CHECK(output.slot == slot);
    CHECK(output.tokens.size() == 1);
    CHECK(output.finish_reason == (slot == 2 ? FinishReason::stopped : FinishReason::none));
  }
  session.stop(3);
  session.stop(3);
  session.stop(4);
  CHECK(session.finish_reason(3) == FinishReason::stopped);
  CHECK(session.finish_reason(4) == FinishReason::max_new_tokens);
  outputs = session.step();
  REQUIRE(outputs.size() == 2);
  CHECK(outputs[0].finish_reason == FinishReason::none);
  CHECK(outputs[1].finish_reason == FinishReason::stop_sequence);
  outputs = session.step();
  REQUIRE(outputs.size() == 1);
  CHECK(outputs[0].finish_reason == FinishReason::max_new_tokens);
  CHECK(session.running() == 0);
  CHECK(session.tokens(0) == alone);
  CHECK(session.tokens(1) == Tokens(alone.begin(), alone.begin() + 3));
  CHECK(session.tokens(3).size() == 2);

  session.start_in(3, {8}, {.max_new_tokens = 1});
  CHECK(session.finish_reason(3) == FinishReason::none);
  CHECK(session.tokens(3) == Tokens{8});
}

TEST_CASE("a long prompt is read in pieces while others get their tokens") {
  const GPT<float> model({.vocab_size = 300, .block_size = 400, .n_layer = 1, .n_head = 2, .n_embd = 16});
  const auto steps_of = [&](Index length, Index piece) {  // until the first token
    Decoder<float> decoder(model, {.batch = 2});
    GenerationSession<float> session(decoder, {.prompt_tokens_per_step = piece});
    session.start({1});
    session.step();
    session.start_in(1, prompt_of(length, 3), {.seed = 5});
    for (int steps = 1;; ++steps) {
      const std::vector<SessionOutput> outputs = session.step();
      CHECK(outputs[0].slot == 0);
      CHECK(outputs[0].tokens.size() == 1);
      if (outputs.size() < 2) continue;
      CHECK(outputs[1].tokens == Tokens(session.tokens(1).end() - 1, session.tokens(1).end()));
      CHECK(session.tokens(1) == generate(model, prompt_of(length, 3), {.max_new_tokens = 1, .seed = 5}));
      return steps;
    }
  };
  CHECK(steps_of(64, 64) == 1);
  CHECK(steps_of(72, 64) == 1);  // 8 more are read at once
  CHECK(steps_of(73, 64) == 2);
  CHECK(steps_of(300, 1) == 5);  // 64 at a time
  CHECK(steps_of(300, 100) == 3);
  CHECK(steps_of(300, 0) == 1);
  CHECK(steps_of(300, std::numeric_limits<Index>::max()) == 1);
  CHECK(steps_of(900, 0) == 1);
}

TEST_CASE("on_token may stop other sequences, but not start one or step") {
  const GPT<float> model = session_model();
  Decoder<float> decoder(model, {.batch = 3});
  GenerationSession<float> session(decoder);
  const auto stop_all = [&](TokenId, Index) {
    for (Index slot = 0; slot < 3; ++slot) session.stop(slot);
    return true;
  };
  session.start({1});
  session.start({2}, {.on_token = stop_all});
  session.start(prompt_of(20, 1));  // read in a pass of its own, after the others
  const std::vector<SessionOutput> outputs = session.step();
  REQUIRE(outputs.size() == 2);  // the third was stopped before its token
  CHECK(outputs[0].finish_reason == FinishReason::stopped);
  CHECK(outputs[1].finish_reason == FinishReason::stopped);
  CHECK(session.finish_reason(2) == FinishReason::stopped);
  CHECK(session.tokens(2) == prompt_of(20, 1));
  CHECK(session.running() == 0);

  std::function<void()> misuse;
  const auto use_wrongly = [&](TokenId, Index) { return misuse(), true; };
  const auto message = [&] {
    session.start({1}, {.on_token = use_wrongly});
    return message_of<Error>([&] { session.step(); });
  };
  misuse = [&] { session.start({1}); };
  CHECK(message() == "[GenerationSession] start() was called by on_token: call it after step() has returned");
  misuse = [&] { session.start_in(2, {1}); };
  CHECK(message() == "[GenerationSession] start_in() was called by on_token: call it after step() has returned");
  misuse = [&] { session.step(); };
  CHECK(message() == "[GenerationSession] step() was called by on_token: call it after step() has returned");
}

TEST_CASE("a step that throws ends all sequences, and the session can be used again") {
  const GPT<float> model = session_model();
  Decoder<float> decoder(model, {.batch = 2});
  GenerationSession<float> session(decoder);
  session.start({5});
  session.start({6}, {.on_token = [](TokenId, Index) -> bool { throw std::runtime_error("the client is gone"); }});
  CHECK_THROWS_WITH_AS(session.step(), "the client is gone", std::runtime_error);
  CHECK(session.running() == 0);
  CHECK(session.finish_reason(0) == FinishReason::failed);
  CHECK(session.finish_reason(1) == FinishReason::failed);
  session.start_in(1, {6}, {.max_new_tokens = 9});
  while (session.running() > 0) session.step();
  CHECK(session.tokens(1) == generate(model, {6}, {.max_new_tokens = 9}));
}

TEST_CASE("what a session cannot do is refused and changes nothing") {
  const GPT<float> model = session_model();
  Decoder<float> decoder(model, {.batch = 2});
  GenerationSession<float> session(decoder);
  session.start_in(1, {5}, {.max_new_tokens = 2});
  session.step();
  const Tokens before = session.tokens(1);
  CHECK(message_of<Error>([&] { session.start_in(1, {5}); }) ==
        "[GenerationSession] slot 1 is busy: step() until its sequence ends, or stop() it");
  const std::string no_slot = "[GenerationSession] slot 2 does not exist, the decoder's batch is 2";
  CHECK(message_of<IndexError>([&] { session.start_in(2, {5}); }) == no_slot);
  CHECK(message_of<IndexError>([&] { session.stop(2); }) == no_slot);
  CHECK(message_of<IndexError>([&] { session.tokens(2); }) == no_slot);
  CHECK(message_of<IndexError>([&] { session.running(2); }) == no_slot);
  CHECK(message_of<IndexError>([&] { session.finish_reason(-1); }) ==
        "[GenerationSession] slot -1 does not exist, the decoder's batch is 2");
  CHECK(message_of<DataError>([&] { session.start({}); }) == "[generate] the prompt is empty: give at least one token");
  CHECK(message_of<IndexError>([&] {
          session.start({5, 300});
        }) == "[generate] token 300 at position 1 is outside the vocabulary of 300");
  CHECK(message_of<ConfigError>([&] { session.start({5}, {.max_new_tokens = -2}); }) ==
        "[generate] max_new_tokens must be 0 or positive, got -2");
  CHECK(message_of<ConfigError>([&] { session.start({5}, {.context_shift = 97}); }) ==
        "[generate] context_shift must be in 0..block_size 96, got 97");
  CHECK(message_of<ConfigError>([&] { session.start({5}, {.stop = {{}}}); }) == "[generate] a stop sequence is empty");
  CHECK(message_of<ConfigError>([&] { session.start({5}, {.top_p = 2}); }) ==
        "[Sampler] top_p must be above 0 and at most 1, got 2");
  CHECK(session.running() == 1);
  CHECK(session.tokens(0).empty());
  CHECK(session.start({5}) == 0);
  CHECK(message_of<Error>([&] { session.start({5}); }) ==
        "[GenerationSession] all slots (2) are busy: step() until one is free, or stop() one");
  session.step();
  CHECK(session.tokens(1) == generate(model, {5}, {.max_new_tokens = 2}));
  CHECK(Tokens(session.tokens(1).begin(), session.tokens(1).end() - 1) == before);
  CHECK(message_of<ConfigError>([&] { GenerationSession<float>(decoder, {.prompt_tokens_per_step = -1}); }) ==
        "[GenerationSession] prompt_tokens_per_step must be 0 (all) or positive, got -1");
}
