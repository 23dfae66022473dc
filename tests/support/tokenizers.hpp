#pragma once
// The small tokenizers of tests/fixtures/tokenizers.json.

#include <string>
#include <vector>

#include "gptlite/text/bpe_vocabulary.hpp"
#include "support/fixture.hpp"

/// "gpt2" (T = text::ByteBpe) or "gpt1" (text::Gpt1Bpe).
template <class T>
T fixture_tokenizer(const std::string& name, const std::vector<std::string>& special_tokens) {
  const nlohmann::json fixture = read_fixture("tokenizers.json")[name];
  return T(fixture["tokens"].get<std::vector<std::string>>(),
           fixture["merges"].get<gptlite::text::BpeVocabulary::Merges>(), special_tokens);
}
