// generate: the tokens it appends, the context they are drawn from, and the state it leaves the model in.

#include "gptlite/generate/generate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <vector>

#include "support/throws.hpp"

using namespace gptlite;
using Tokens = std::vector<TokenId>;

namespace {

// Weights so large that the logits differ clearly.
GPT<float> small_model(double dropout = 0) {
  return GPT<float>({.vocab_size = 11,
                     .block_size = 4,
                     .n_layer = 1,
                     .n_head = 2,
                     .n_embd = 8,
                     .dropout = dropout,
                     .initializer_range = 0.5});
}

// The likeliest token after the last block_size tokens, by a full pass.
TokenId likeliest_next(const GPT<float>& model, const Tokens& tokens) {
  const NoGrad no_grad;
  const auto length = std::min<Index>(static_cast<Index>(tokens.size()), model.config.block_size);
  const Tensor<float> logits = model.logits(Tensor<TokenId>::from({tokens.end() - length, tokens.end()}, {1, length}));
  const float* last = std::as_const(logits).data() + (length - 1) * model.config.vocab_size;
  return static_cast<TokenId>(std::max_element(last, last + model.config.vocab_size) - last);
}

Tokens greedy(const GPT<float>& model, Tokens tokens, Index count) {
  for (Index i = 0; i < count; ++i) tokens.push_back(likeliest_next(model, tokens));
  return tokens;
}

}  // namespace

TEST_CASE("the prompt is kept and max_new_tokens are appended") {
  const GPT<float> model = small_model();
  const Tokens tokens = generate(model, {3, 1, 4}, {.max_new_tokens = 20});
  CHECK(tokens.size() == 23u);
  CHECK(Tokens(tokens.begin(), tokens.begin() + 3) == Tokens{3, 1, 4});
  CHECK(std::all_of(tokens.begin(), tokens.end(), [](TokenId token) { return token >= 0 && token < 11; }));
  CHECK(generate(model, {3, 1, 4}, {.max_new_tokens = 0}) == Tokens{3, 1, 4});
}

TEST_CASE("greedy generation appends the likeliest token of the last block_size each time") {
  const GPT<float> model = small_model();
  const Tokens one = generate(model, {5}, {.max_new_tokens = 12, .temperature = 0, .context_shift = 1});
  CHECK(one == greedy(model, {5}, 12));
  CHECK(std::set<TokenId>(one.begin(), one.end()).size() > 2u);  // a model that says something
}

TEST_CASE("of a prompt longer than block_size the last tokens count") {
  const GPT<float> model = small_model();
  const Tokens prompt{9, 8, 7, 6, 5, 4, 3};
  const Tokens tokens = generate(model, prompt, {.max_new_tokens = 6, .temperature = 0, .context_shift = 1});
  CHECK(tokens == greedy(model, prompt, 6));
  const Tokens tail = generate(model, {6, 5, 4, 3}, {.max_new_tokens = 6, .temperature = 0, .context_shift = 1});
  CHECK(Tokens(tokens.end() - 6, tokens.end()) == Tokens(tail.end() - 6, tail.end()));
}

TEST_CASE("context_shift is how many tokens a full context drops") {
  const GPT<float> model = small_model();
  Tokens expected{5, 2};
  for (const Index length : {2, 3, 4, 2, 3, 4, 2, 3, 4, 2}) {  // 4 read, 3 leave: the last one and the new one
    const Tokens context(expected.end() - length, expected.end());
    expected.push_back(likeliest_next(model, context));
  }
  CHECK(generate(model, {5, 2}, {.max_new_tokens = 10, .temperature = 0, .context_shift = 3}) == expected);
  CHECK(generate(model, {5, 2}, {.max_new_tokens = 10, .temperature = 0}) ==
        greedy(model, {5, 2}, 10));  // an eighth: 1
}

TEST_CASE("sequences of a batch are continued as they are alone") {
  const GPT<float> model = small_model();
  const std::vector<Tokens> prompts{{1, 2, 3}, {4}, {5, 6, 7, 8, 9, 10}};
  Decoder<float> decoder(model, {.batch = 3});
  const std::vector<Tokens> sequences = generate(decoder, prompts, {.max_new_tokens = 9, .temperature = 2, .seed = 5});
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(sequences[i] == generate(model, prompts[i], {.max_new_tokens = 9, .temperature = 2, .seed = 5 + i}));
  CHECK(generate(decoder, prompts, {.max_new_tokens = 9, .temperature = 2, .seed = 5}) == sequences);
}

TEST_CASE("a sequence ends with a stop sequence, of which the prompt may be a part, while others go on") {
  const GPT<float> model = small_model();
  const Tokens all = greedy(model, {5}, 12);
  const Tokens stop(all.begin() + 4, all.begin() + 6);
  const auto found = std::search(all.begin() + 1, all.end(), stop.begin(), stop.end());
  const Tokens expected(all.begin(), found + 2);
  CHECK(generate(model, {5},
                 {.max_new_tokens = 12, .temperature = 0, .stop = {{10, 10, 10}, stop}, .context_shift = 1}) ==
        expected);
  CHECK(generate(model, {5}, {.max_new_tokens = 12, .temperature = 0, .stop = {{5, all[1]}}}) == Tokens{5, all[1]});
  Decoder<float> decoder(model, {.batch = 2});
  const auto sequences = generate(decoder, {{5}, {6}},
                                  {.max_new_tokens = 12, .temperature = 0, .stop = {{5, all[1]}}, .context_shift = 1});
  CHECK(sequences[0] == Tokens{5, all[1]});
  CHECK(sequences[1] == greedy(model, {6}, 12));
}

TEST_CASE("on_token is given each new token with the number of its sequence, and may end it") {
  const GPT<float> model = small_model();
  Decoder<float> decoder(model, {.batch = 2});
  std::vector<Tokens> heard(2);
  const auto sequences =
      generate(decoder, {{5}, {6, 7}}, {.max_new_tokens = 4, .on_token = [&](TokenId token, Index sequence) {
                                          heard[static_cast<std::size_t>(sequence)].push_back(token);
                                          return sequence == 0 || heard[1].size() < 3;
                                        }});
  CHECK(heard[0] == Tokens(sequences[0].begin() + 1, sequences[0].end()));
  CHECK(heard[1] == Tokens(sequences[1].begin() + 2, sequences[1].end()));
  CHECK(heard[0].size() == 4u);
  CHECK(heard[1].size() == 3u);  // false ended it
}

TEST_CASE("a draft changes no token, whatever ends the sequence or moves its context") {
  // Logits so close that the draft's guesses are often wrong.
  const GPT<float> model({.vocab_size = 301,
                          .block_size = 40,
                          .n_layer = 2,
                          .n_head = 2,
                          .n_embd = 64,
                          .window = 30,
                          .initializer_range = 0.1});
  Tokens heard;
  const auto hear = [&](TokenId token, Index) {
    heard.push_back(token);
    return heard.size() < 33;
  };
  for (const WeightFormat format : {WeightFormat::fp32, WeightFormat::bf16}) {
    Decoder<float> plain(model, {.weights = format}), drafting(model, {.weights = format, .draft = true});
    for (const GenerateOptions& options :
         std::vector<GenerateOptions>{{.max_new_tokens = 150, .temperature = 0},
                                      {.max_new_tokens = 150, .temperature = 1},
                                      {.max_new_tokens = 150, .temperature = 0.5, .repetition_penalty = 1.5},
                                      {.max_new_tokens = 150, .temperature = 0.3, .top_k = 9, .context_shift = 1},
                                      {.max_new_tokens = 1},
                                      {.max_new_tokens = 2},
                                      {.max_new_tokens = 150, .temperature = 0.1, .on_token = hear}}) {
      INFO("temperature ", options.temperature, ", max_new_tokens ", options.max_new_tokens);
      for (const Tokens& prompt : {Tokens{7}, Tokens{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}) {
        heard.clear();
        const Tokens expected = generate(plain, {prompt}, options).front();
        const Tokens heard_without = heard;
        heard.clear();
        CHECK(generate(drafting, {prompt}, options).front() == expected);
        CHECK(heard == heard_without);
        GenerateOptions stopping = options;
        stopping.stop = {{expected.back()}};
        CHECK(generate(drafting, {prompt}, stopping).front() == generate(plain, {prompt}, stopping).front());
      }
    }
  }
  CHECK(generate(model, {7}, {.max_new_tokens = 20, .draft = true}) == generate(model, {7}, {.max_new_tokens = 20}));
  Decoder<float> batch(model, {.batch = 2, .draft = true});
  CHECK(generate(batch, {{7}, {8}}, {.max_new_tokens = 20, .seed = 3}).back() ==
        generate(model, {8}, {.max_new_tokens = 20, .seed = 4}));
}

TEST_CASE("top_k 1 and a tiny top_p are greedy") {
  const GPT<float> model = small_model();
  const Tokens expected = greedy(model, {2, 0}, 10);
  CHECK(generate(model, {2, 0}, {.max_new_tokens = 10, .top_k = 1, .context_shift = 1}) == expected);
  CHECK(generate(model, {2, 0}, {.max_new_tokens = 10, .top_p = 1e-6, .context_shift = 1}) == expected);
}

TEST_CASE("the same seed generates the same tokens and another seed others") {
  const GPT<float> model = small_model();
  const auto tokens = [&](std::uint64_t seed) {
    return generate(model, {1}, {.max_new_tokens = 30, .temperature = 2, .seed = seed});
  };
  CHECK(tokens(1) == tokens(1));
  CHECK(tokens(1) != tokens(2));
}

TEST_CASE("dropout is off while generating and the mode is restored") {
  GPT<float> model = small_model(0.5), plain = small_model(0);
  const Tokens expected = generate(plain, {1}, {.max_new_tokens = 10, .temperature = 0});
  model.train();
  CHECK(generate(model, {1}, {.max_new_tokens = 10, .temperature = 0}) == expected);
  CHECK(model.mode->training);
  CHECK(model.mode->generator.position() == 0u);  // no mask was drawn
  model.eval();
  CHECK(generate(model, {1}, {.max_new_tokens = 10, .temperature = 0}) == expected);
  CHECK_FALSE(model.mode->training);
  CHECK(grad_enabled());
}

TEST_CASE("an error while generating restores the mode too") {
  GPT<float> model = small_model();
  model.train();
  model.wte.weight.data()[0] = std::numeric_limits<float>::quiet_NaN();
  CHECK(message_of<DataError>([&] { generate(model, {0}); }) ==
        "[Sampler] the logit of token 0 is not a number: has the model diverged?");
  CHECK(model.mode->training);
  CHECK(grad_enabled());
}

TEST_CASE("prompts that cannot be continued are refused") {
  const GPT<float> model = small_model();
  CHECK(message_of<DataError>([&] { generate(model, {}); }) ==
        "[generate] the prompt is empty: give at least one token");
  CHECK(message_of<IndexError>([&] {
          generate(model, {3, 11});
        }) == "[generate] token 11 at position 1 is outside the vocabulary of 11");
  CHECK(message_of<IndexError>([&] { generate(model, {-1}); }) ==
        "[generate] token -1 at position 0 is outside the vocabulary of 11");
  // Also where block_size hides it, or nothing is generated.
  std::vector<TokenId> hidden(100, 1);
  hidden[0] = 99;
  CHECK(message_of<IndexError>([&] { generate(model, hidden, {.max_new_tokens = 0}); }) ==
        "[generate] token 99 at position 0 is outside the vocabulary of 11");
}

TEST_CASE("generate options that cannot work are refused") {
  const GPT<float> model = small_model();
  CHECK(message_of<ConfigError>([&] { generate(model, {1}, {.max_new_tokens = -1}); }) ==
        "[generate] max_new_tokens must be 0 or positive, got -1");
  CHECK(message_of<ConfigError>([&] { generate(model, {1}, {.temperature = -0.5}); }) ==
        "[Sampler] temperature must be 0 or positive, got -0.5");
  CHECK(message_of<ConfigError>([&] { generate(model, {1}, {.context_shift = 5}); }) ==
        "[generate] context_shift must be in 0..block_size 4, got 5");
  CHECK(message_of<ConfigError>([&] { generate(model, {1}, {.stop = {{}}}); }) ==
        "[generate] a stop sequence is empty");
}

TEST_CASE("a decoder with another batch than there are prompts is refused") {
  const GPT<float> model = small_model();
  Decoder<float> decoder(model, {.batch = 2});
  CHECK(message_of<ShapeError>([&] { generate(decoder, {{1}}); }) ==
        "[generate] 1 prompts given, the decoder's batch is 2");
  CHECK(message_of<ShapeError>([&] {
          generate(decoder, {{1}, {2}, {3}});
        }) == "[generate] 3 prompts given, the decoder's batch is 2");
}
