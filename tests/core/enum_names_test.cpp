// name_of, parse, try_parse and names_of: both ways between the values of an enum and their names.

#include "gptlite/core/enum_names.hpp"

#include <doctest/doctest.h>

#include "gptlite/core/random.hpp"
#include "gptlite/io/dtype.hpp"
#include "gptlite/kernels/packed/weight_formats.hpp"
#include "gptlite/models/gpt_config.hpp"
#include "gptlite/models/task.hpp"
#include "gptlite/train/schedule.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace user {
enum class Fruit { apple, pear, unnamed };
constexpr auto enum_names(Fruit) {
  return EnumNames<Fruit, 2>{"fruit", {{{"apple", Fruit::apple}, {"pear", Fruit::pear}}}};
}
}  // namespace user

namespace {
// Every name gives the value of its place, which has that name.
template <class Enum>
void check_names(const std::vector<std::string>& expected) {
  const std::vector<std::string> names = names_of<Enum>();
  if (!expected.empty()) CHECK(names == expected);
  for (std::size_t i = 0; i < names.size(); ++i) {
    CAPTURE(names[i]);
    CHECK(parse<Enum>(names[i]) == static_cast<Enum>(i));
    CHECK(name_of(static_cast<Enum>(i)) == names[i]);
  }
}
}  // namespace

TEST_CASE("every value of the library's enums comes back from its name") {
  check_names<Precision>({"fp32", "bf16"});
  check_names<WeightFormat>({"fp32", "bf16", "int8"});
  check_names<NormOrder>({"post", "pre"});
  check_names<Task>({"classification", "entailment", "similarity", "multiple-choice"});
  check_names<train::Decay>({"cosine", "linear", "constant"});
  check_names<io::DType>({});
  CHECK(names_of<io::DType>().size() == static_cast<std::size_t>(io::DType::U64) + 1);
  CHECK(name_of(io::DType::BF16) == "BF16");
}

TEST_CASE("other names are refused with those that there are") {
  CHECK(message_of<ConfigError>([] { parse<Precision>("fp8"); }) ==
        "[parse] \"fp8\" is no precision; there are fp32, bf16");
  CHECK(message_of<ConfigError>([] { parse<train::Decay>(""); }) ==
        "[parse] \"\" is no decay; there are cosine, linear, constant");
  CHECK_FALSE(try_parse<Precision>("FP32"));
  CHECK_FALSE(try_parse<io::DType>("F33"));
}

TEST_CASE("an enum of a user's own takes part") {
  static_assert(NamedEnum<user::Fruit>);
  static_assert(!NamedEnum<RandomUse>);
  static_assert(name_of(user::Fruit::pear) == "pear");
  CHECK(parse<user::Fruit>("apple") == user::Fruit::apple);
  CHECK(name_of(user::Fruit::unnamed).empty());
  CHECK(message_of<ConfigError>([] { parse<user::Fruit>("plum"); }) ==
        "[parse] \"plum\" is no fruit; there are apple, pear");
}
