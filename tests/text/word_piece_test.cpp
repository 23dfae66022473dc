// WordPiece: the ids and texts of the Python package, cased and not, its limits, and what it refuses.

#include "gptlite/text/word_piece.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/fixture.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

text::WordPiece fixture_pieces(const std::string& name) {
  const nlohmann::json fixture = read_fixture("bert.json");
  return text::WordPiece(fixture["word_piece"][name]["tokens"].get<std::vector<std::string>>(), name == "uncased");
}
text::WordPiece some_pieces(bool lowercase = true) {
  return text::WordPiece({"[UNK]", "[SEP]", "un", "##aff", "##able", "##a", "a", "A", "é", ",", "'", "##\u4e2d"},
                         lowercase, {"[UNK]", "[SEP]"});
}

}  // namespace

TEST_CASE("WordPiece: hard texts have the ids of the Python package, which decode to the same") {
  const nlohmann::json fixture = read_fixture("bert.json");
  for (const char* name : {"uncased", "cased"}) {
    const text::WordPiece pieces = fixture_pieces(name);
    for (std::size_t i = 0; i < fixture["texts"].size(); ++i) {
      CAPTURE(name);
      CAPTURE(i);
      const std::vector<TokenId> ids = pieces.encode(fixture["texts"][i].get<std::string>());
      CHECK(ids == fixture["word_piece"][name]["ids"][i].get<std::vector<TokenId>>());
      CHECK(pieces.decode(ids) == fixture["word_piece"][name]["decoded"][i].get<std::string>());
    }
  }
}

TEST_CASE("WordPiece: the longest piece first; a word with a part that no piece fits is [UNK] as a whole") {
  const text::WordPiece pieces = some_pieces();
  CHECK(pieces.encode("unaffable") == std::vector<TokenId>{2, 3, 4});
  CHECK(pieces.encode("unaa") == std::vector<TokenId>{2, 5, 5});
  CHECK(pieces.encode("unax a") == std::vector<TokenId>{0, 6});
  CHECK(pieces.encode("una\u4e2d") == std::vector<TokenId>{2, 5, 0});  // an ideograph is a word of its own
  CHECK(pieces.encode("a[SEP]a") == std::vector<TokenId>{6, 1, 6});
  CHECK(pieces.encode("") == std::vector<TokenId>{});
}

TEST_CASE("WordPiece: a word of more than 100 characters is [UNK]") {
  const text::WordPiece pieces = some_pieces();
  CHECK(pieces.encode(std::string(100, 'a')).size() == 100);
  CHECK(pieces.encode(std::string(101, 'a')) == std::vector<TokenId>{0});
}

TEST_CASE("WordPiece: lowercase takes accents and capitals away, a cased one keeps them") {
  CHECK(some_pieces().encode("A \u00C1") == std::vector<TokenId>{6, 6});
  CHECK(some_pieces(false).encode("A \u00E9 \u00C1") == std::vector<TokenId>{7, 8, 0});
}

TEST_CASE("WordPiece: tokens, ids and bytes") {
  const text::WordPiece pieces = some_pieces();
  CHECK(pieces.vocab_size() == 12);
  CHECK(pieces.id_to_token(3) == "##aff");
  CHECK(pieces.id_to_bytes(3) == "aff");
  CHECK(pieces.id_to_bytes(2) == " un");
  CHECK(pieces.id_to_bytes(9) == ",");  // no one writes a space there
  CHECK(pieces.decode({2, 3, 4, 9, 6}) == "unaffable, a");
  CHECK(pieces.decode({3}) == "##aff");  // a text that begins within a word
  CHECK(pieces.decode({}) == "");
  CHECK(pieces.end_of_text() == 1);
  CHECK(pieces.special_tokens() == std::vector<TokenId>{0, 1});
}

TEST_CASE("WordPiece: what is not there or not UTF-8 is refused") {
  const text::WordPiece pieces = some_pieces();
  CHECK(message_of<DataError>([&] { pieces.encode("a a\xC3 x"); }) == "[utf8] invalid UTF-8 at byte 3");
  CHECK(message_of<IndexError>([&] { pieces.decode({12}); }) ==
        "[Vocabulary] token 12 is outside the vocabulary of 12");
  CHECK(message_of<DataError>([] { text::WordPiece({"a"}, true, {}); }) ==
        "[Vocabulary] \"[UNK]\" is not in the vocabulary of 1");
}
