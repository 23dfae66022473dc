// Exceptions: how `fail` and `check` word a message, and what users can catch.

#include "gptlite/core/error.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <new>
#include <string>
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

TEST_CASE("texts from files cannot command a terminal, and long ones are cut") {
  CHECK(message_of<DataError>([] { raise<DataError>("read", "a\x1b[31mred\r\x7f\nnext\tcolumn é"); }) ==
        "[read] a\\x1b[31mred\\x0d\\x7f\nnext\tcolumn é");
  const std::string message =
      message_of<DataError>([] { raise<DataError>("read", std::string(20'000'000, 'x'), "!"); });
  CHECK(message.size() < 5000);
  CHECK(message.ends_with("xxx... (20000000 bytes)!"));
}

TEST_CASE("memory that is not there is a bad_alloc that says how much was wanted") {
  try {
    throw OutOfMemory(12345);
  } catch (const std::bad_alloc& error) {
    CHECK(std::string(error.what()) == "no memory for 12345 bytes: make the batch, the context or the model smaller");
    CHECK(dynamic_cast<const OutOfMemory&>(error).bytes() == 12345);
  }
  CHECK(std::string(OutOfMemory(std::numeric_limits<std::size_t>::max()).what()).ends_with("model smaller"));
}

TEST_CASE("fail puts the operation in brackets and joins the parts") {
  CHECK(message_of<ShapeError>([] { raise<ShapeError>("matmul", "got ", 3, " and ", 0.5, 'x'); }) ==
        "[matmul] got 3 and 0.5x");
  CHECK(message_of<DataError>([] { raise<DataError>("read", "empty"); }) == "[read] empty");
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
