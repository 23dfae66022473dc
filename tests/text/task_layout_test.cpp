// TaskLayout: the four layouts, and shortening that keeps the special tokens.

#include "gptlite/text/task_layout.hpp"

#include <doctest/doctest.h>

#include "support/throws.hpp"

namespace {
using namespace gptlite;
using text::Tokens;
const text::TaskLayout layout{{100, 101, 102}, 9};
}  // namespace

TEST_CASE("the four layouts") {
  CHECK(layout.classification({1, 2}) == Tokens{100, 1, 2, 102});
  CHECK(layout.entailment({1, 2}, {3}) == Tokens{100, 1, 2, 101, 3, 102});
  CHECK(layout.similarity({1}, {3, 4}) == std::vector<Tokens>{{100, 1, 101, 3, 4, 102}, {100, 3, 4, 101, 1, 102}});
  CHECK(layout.multiple_choice({1}, {{2}, {3, 4}}) ==
        std::vector<Tokens>{{100, 1, 101, 2, 102}, {100, 1, 101, 3, 4, 102}});
  CHECK(layout.classification({}) == Tokens{100, 102});
}

TEST_CASE("the longest part is shortened, and special tokens stay") {
  CHECK(layout.classification({1, 2, 3, 4, 5, 6, 7}) == Tokens{100, 1, 2, 3, 4, 5, 6, 7, 102});
  CHECK(layout.classification({1, 2, 3, 4, 5, 6, 7, 8}) == Tokens{100, 1, 2, 3, 4, 5, 6, 7, 102});
  CHECK(layout.entailment({1, 2, 3, 4, 5, 6, 7}, {8, 9}) == Tokens{100, 1, 2, 3, 4, 101, 8, 9, 102});
  CHECK(layout.entailment({1, 2}, {3, 4, 5, 6, 7, 8}) == Tokens{100, 1, 2, 101, 3, 4, 5, 6, 102});
  // of equal ones the last
  CHECK(layout.entailment({1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}) == Tokens{100, 1, 2, 3, 101, 6, 7, 8, 102});
  CHECK(text::TaskLayout{{100, 101, 102}, 8}.entailment({1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}) ==
        Tokens{100, 1, 2, 3, 101, 6, 7, 102});
}

TEST_CASE("each part is cut at max_part_length first") {
  const text::TaskLayout exact{{100, 101, 102}, 12, 12 / 2 - 2};  // as GPT-1's code
  CHECK(exact.entailment({1, 2, 3, 4, 5, 6}, {7}) == Tokens{100, 1, 2, 3, 4, 101, 7, 102});
  CHECK(exact.classification({1, 2, 3}) == Tokens{100, 1, 2, 3, 102});
  CHECK(exact.entailment({1, 2, 3, 4, 5}, {6, 7, 8, 9, 10, 11}) == Tokens{100, 1, 2, 3, 4, 101, 6, 7, 8, 9, 102});
  CHECK(text::TaskLayout{{100, 101, 102}, 9, 4}.entailment({1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}) ==
        Tokens{100, 1, 2, 3, 101, 6, 7, 8, 102});
  CHECK(message_of<ConfigError>([] {
          text::TaskLayout{{100, 101, 102}, 9, -1}.classification({1});
        }) == "[TaskLayout] max_part_length must be 0 (no limit) or positive, got -1");
}

TEST_CASE("a length without room for a token of each part is refused") {
  const text::TaskLayout narrow{{100, 101, 102}, 4};
  CHECK(narrow.classification({1, 2, 3}) == Tokens{100, 1, 2, 102});
  CHECK(message_of<ConfigError>([&] { narrow.entailment({1}, {2}); }) ==
        "[TaskLayout] max_length 4 has no room for 2 parts and 3 special tokens");
}
