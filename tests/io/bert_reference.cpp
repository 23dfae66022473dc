// The library's side of compare_bert.py.
//
//   bert_reference hidden FOLDER LINES OUT.npy     the hidden states of the lines, (lines, T, C), zeros on padding
//   bert_reference train TOKENIZER_FOLDER OUT      pre-trains a small BERT for some steps, saves it in OUT, and writes
//   the
//                                                  logits of OUT/tokens.npy to OUT/logits.npy and OUT/relation.npy

#include <algorithm>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "gptlite/gptlite.hpp"
#include "gptlite/io.hpp"

using namespace gptlite;

namespace {

int hidden(const std::string& folder, const std::string& lines, const std::string& out) {
  const auto [model, tokenizer] = io::load_bert(folder);
  std::vector<std::vector<TokenId>> rows;
  std::size_t longest = 0;
  std::istringstream text(io::read_text(lines));
  for (std::string line; std::getline(text, line);) {
    std::vector<TokenId> row = tokenizer.encode(line);
    row.insert(row.begin(), *tokenizer.token_to_id("[CLS]"));
    row.push_back(*tokenizer.token_to_id("[SEP]"));
    longest = std::max(longest, row.size());
    rows.push_back(std::move(row));
  }
  const Index N = static_cast<Index>(rows.size()), T = static_cast<Index>(longest), C = model.config.n_embd;
  Tensor<float> all = Tensor<float>::zeros({N, T, C});
  const NoGrad no_grad;
  for (Index n = 0; n < N; ++n) {  // each beside a longer one, so that padding and lengths count
    const std::vector<TokenId>& row = rows[static_cast<std::size_t>(n)];
    Tensor<TokenId> tokens = Tensor<TokenId>::zeros({1, std::min(T, static_cast<Index>(row.size()) + n % 3)});
    std::copy(row.begin(), row.end(), tokens.data());
    const Tensor<float> states = model.pass(tokens, Tensor<std::int32_t>::from({static_cast<std::int32_t>(row.size())}),
                                            Tensor<std::int32_t>::zeros(tokens.shape()));
    std::copy_n(states.data(), static_cast<Index>(row.size()) * C, all.data() + n * T * C);
  }
  io::save_npy(out, all);
  return 0;
}

int pre_train(const std::string& tokenizer_folder, const std::string& out) {
  const text::Tokenizer tokenizer = io::load_tokenizer(tokenizer_folder);
  BertPreTraining<float> model(Bert<float>({.vocab_size = tokenizer.vocab_size(),
                                            .block_size = 24,
                                            .n_layer = 3,
                                            .n_head = 4,
                                            .n_embd = 32,
                                            .dropout = 0.1,
                                            .initializer_range = 0.1,
                                            .separator = tokenizer.token_to_id("[SEP]")}));
  train::AdamW optimizer(model, {.learning_rate = 1e-2});
  Generator random(7);
  const Index B = 8, T = 20;
  for (int step = 0; step < 30; ++step) {
    MaskedBatch batch{.tokens = Tensor<TokenId>::empty({B, T}),
                      .targets = Tensor<TokenId>::full({B, T}, ignore_index),
                      .unrelated = Tensor<std::int32_t>::empty({B})};
    for (Index i = 0; i < B * T; ++i) {
      batch.tokens.data()[i] = static_cast<TokenId>(random.below(tokenizer.vocab_size()));
      if (random.below(5) == 0) batch.targets.data()[i] = batch.tokens.data()[i];
    }
    batch.targets.data()[0] = batch.tokens.data()[0];
    for (Index b = 0; b < B; ++b) batch.unrelated.data()[b] = static_cast<std::int32_t>(random.below(2));
    model.loss(batch).backward();
    optimizer.step();
  }
  model.eval();
  io::save_bert(out, model, tokenizer);
  Tensor<TokenId> tokens = Tensor<TokenId>::empty({3, 24});
  for (Index i = 0; i < tokens.numel(); ++i)
    tokens.data()[i] = static_cast<TokenId>(random.below(tokenizer.vocab_size()));
  const NoGrad no_grad;
  const Tensor<float> states = model.bert.pass(tokens, {}, Tensor<std::int32_t>::zeros({3, 24}));
  io::save_npy(out + "/tokens.npy", tokens.cast<float>());
  io::save_npy(out + "/logits.npy", model.logits(states));
  io::save_npy(out + "/relation.npy", model.relation_logits(states));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "hidden" && argc == 5) return hidden(argv[2], argv[3], argv[4]);
  if (what == "train" && argc == 4) return pre_train(argv[2], argv[3]);
  std::cerr << "usage: bert_reference hidden FOLDER LINES OUT.npy | train TOKENIZER_FOLDER OUT\n";
  return 2;
}
