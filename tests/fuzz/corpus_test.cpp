// Every file of the fuzz targets' corpus, seeds and what fuzzing found, goes through its target.

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "fuzz/fuzz.hpp"
#include "support/temporary_folder.hpp"

TEST_CASE("the corpus of each fuzz target is refused or accepted, without a crash") {
  for (const fuzz::Target& target : fuzz::targets()) {
    const std::filesystem::path folder =
        std::filesystem::path(GPTLITE_SOURCE_DIR) / "tests" / "fuzz" / "corpus" / target.name;
    CAPTURE(target.name);
    REQUIRE(std::filesystem::is_directory(folder));
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      CAPTURE(entry.path().filename().string());
      const std::string bytes = bytes_of(entry.path().string());
      CHECK_NOTHROW(target.run(bytes));
      ++files;
    }
    CHECK(files > 0);
  }
}
