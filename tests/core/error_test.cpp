// Exceptions: how `fail` and `check` word a message, and what users can catch.

#include "gptlite/core/error.hpp"

#include <doctest/doctest.h>

#include <type_traits>

#include "support/throws.hpp"

using namespace gptlite;

namespace {

struct CountsPrinting {
  int* printed;
  friend std::ostream& operator<<(std::ostream& out, const CountsPrinting& part) {
    ++*part.printed;
    return out << "part";
  }
};

}  // namespace

TEST_CASE("fail puts the operation in brackets and joins the parts") {
  CHECK(message_of<ShapeError>([] { fail<ShapeError>("matmul", "got ", 3, " and ", 0.5, 'x'); }) ==
        "[matmul] got 3 and 0.5x");
  CHECK(message_of<DataError>([] { fail<DataError>("read", "empty"); }) == "[read] empty");
}

TEST_CASE("check throws the error it was given if the condition is false") {
  CHECK(message_of<IndexError>([] { check<IndexError>(false, "at", "index ", -1); }) == "[at] index -1");
  CHECK(message_of<IndexError>([] { check<IndexError>(true, "at", "index ", -1); }) == "no exception");
  CHECK_THROWS_AS(check<ConfigError>(false, "w", ""), ConfigError);
  CHECK_THROWS_AS(check<GraphError>(false, "w", ""), GraphError);
}

TEST_CASE("check composes its message only when it is needed") {
  int printed = 0;
  check<DataError>(true, "w", CountsPrinting{&printed});
  CHECK(printed == 0);
  CHECK(message_of<DataError>([&] { check<DataError>(false, "w", CountsPrinting{&printed}); }) == "[w] part");
  CHECK(printed == 1);
}

TEST_CASE("every error is a gptlite Error and a std runtime_error") {
  CHECK(std::is_base_of_v<Error, ShapeError>);
  CHECK(std::is_base_of_v<Error, IndexError>);
  CHECK(std::is_base_of_v<Error, GraphError>);
  CHECK(std::is_base_of_v<Error, ConfigError>);
  CHECK(std::is_base_of_v<Error, DataError>);
  CHECK(std::is_base_of_v<Error, IoError>);
  CHECK(std::is_base_of_v<std::runtime_error, Error>);
  CHECK_FALSE(std::is_base_of_v<ShapeError, IndexError>);
}
