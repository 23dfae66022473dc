// Shape: sizes, strides and axes of a tensor, and the broadcasting rule.

#include "gptlite/core/shape.hpp"

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <utility>

#include "support/throws.hpp"

using namespace gptlite;

namespace {

std::string printed(const Shape& shape) {
  std::ostringstream out;
  out << shape;
  return out.str();
}

constexpr Index largest = std::numeric_limits<Index>::max();

}  // namespace

TEST_CASE("a shape knows its rank and its number of elements") {
  const Shape shape{2, 3, 5};
  CHECK(shape.rank() == 3);
  CHECK(shape.numel() == 30);
  CHECK(shape.sizes() == std::vector<Index>{2, 3, 5});
  CHECK(shape[0] == 2);
  CHECK(shape[2] == 5);
  CHECK(shape[-1] == 5);
  CHECK(shape[-3] == 2);
}

TEST_CASE("a scalar has rank 0 and one element and a size of 0 leaves none") {
  CHECK(Shape{}.rank() == 0);
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{4, 0, 3}.numel() == 0);
  CHECK(Shape{0}.numel() == 0);
}

TEST_CASE("numel_between multiplies the sizes of a range of axes") {
  const Shape shape{2, 3, 5, 7};
  CHECK(shape.numel_between(0, 4) == 210);
  CHECK(shape.numel_between(1, 3) == 15);
  CHECK(shape.numel_between(3, 4) == 7);
  CHECK(shape.numel_between(2, 2) == 1);
}

TEST_CASE("a shape prints as a list in parentheses") {
  CHECK(printed({}) == "()");
  CHECK(printed({4}) == "(4)");
  CHECK(printed({2, 0, 5}) == "(2, 0, 5)");
}

TEST_CASE("shapes are equal if all their sizes are") {
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK_FALSE(Shape{2, 3} == Shape{3, 2});
  CHECK_FALSE(Shape{6} == Shape{2, 3});
  CHECK_FALSE(Shape{} == Shape{1});
}

TEST_CASE("with and without change one axis and keep the original") {
  const Shape shape{2, 3, 5};
  CHECK(shape.with(1, 4) == Shape{2, 4, 5});
  CHECK(shape.with(-1, 0) == Shape{2, 3, 0});
  CHECK(shape.with(-1, 0).numel() == 0);
  CHECK(shape.without(0) == Shape{3, 5});
  CHECK(shape.without(-1) == Shape{2, 3});
  CHECK(shape.without(-1).numel() == 6);
  CHECK(shape == Shape{2, 3, 5});
}

TEST_CASE("copies and moves carry sizes and number of elements along") {
  Shape shape{2, 3};
  const Shape copy = shape;
  CHECK(copy == shape);
  CHECK(copy.numel() == 6);
  Shape other{7};
  other = shape;
  CHECK(other.numel() == 6);
  other = Shape{5, 5};
  CHECK(other == Shape{5, 5});
  CHECK(other.numel() == 25);
  const Shape moved = std::move(shape);
  CHECK(moved == Shape{2, 3});
  CHECK(moved.numel() == 6);
}

TEST_CASE("negative sizes and products that overflow are refused") {
  CHECK(message_of<ShapeError>([] { Shape{2, -3}; }) == "[shape] size -3 of (2, -3) is negative");
  CHECK(Shape{largest}.numel() == largest);
  const std::string huge = std::to_string(largest);
  CHECK(message_of<ShapeError>([] { Shape{largest, 2}; }) == "[shape] (" + huge + ", 2) overflows");
  // Strides are products of the other sizes: they must fit although there is no element.
  CHECK(message_of<ShapeError>([] { Shape{0, largest, 2}; }) == "[shape] (0, " + huge + ", 2) overflows");
  CHECK(message_of<ShapeError>([] { Shape{largest, 2, 0}; }) == "[shape] (" + huge + ", 2, 0) overflows");
}

TEST_CASE("normalized_axis counts negative axes from the end and refuses others") {
  const Shape shape{2, 3, 5};
  CHECK(shape.normalized_axis(0, "sum") == 0);
  CHECK(shape.normalized_axis(2, "sum") == 2);
  CHECK(shape.normalized_axis(-1, "sum") == 2);
  CHECK(shape.normalized_axis(-3, "sum") == 0);
  CHECK(message_of<IndexError>([&] { shape.normalized_axis(3, "sum"); }) ==
        "[sum] axis 3 is outside a tensor of rank 3: (2, 3, 5)");
  CHECK(message_of<IndexError>([&] { shape.normalized_axis(-4, "sum"); }) ==
        "[sum] axis -4 is outside a tensor of rank 3: (2, 3, 5)");
  CHECK(message_of<IndexError>([] { Shape{}.normalized_axis(0, "sum"); }) ==
        "[sum] axis 0 is outside a tensor of rank 0: ()");
}

TEST_CASE("broadcast_shape aligns shapes at the last axis and stretches sizes of 1") {
  CHECK(broadcast_shape({2, 3}, {2, 3}, "add") == Shape{2, 3});
  CHECK(broadcast_shape({2, 3}, {3}, "add") == Shape{2, 3});
  CHECK(broadcast_shape({3}, {2, 1}, "add") == Shape{2, 3});
  CHECK(broadcast_shape({}, {2, 3}, "add") == Shape{2, 3});
  CHECK(broadcast_shape({}, {}, "add") == Shape{});
  CHECK(broadcast_shape({5, 1, 4}, {3, 1}, "add") == Shape{5, 3, 4});
  CHECK(broadcast_shape({1, 4}, {0, 1}, "add") == Shape{0, 4});
  CHECK(broadcast_shape({1}, {0}, "add") == Shape{0});
}

TEST_CASE("shapes that do not broadcast are refused with both shapes") {
  CHECK(message_of<ShapeError>([] {
          broadcast_shape({2, 3}, {2}, "add");
        }) == "[add] shapes do not broadcast: (2, 3) and (2)");
  CHECK(message_of<ShapeError>([] { broadcast_shape({0}, {3}, "mul"); }) ==
        "[mul] shapes do not broadcast: (0) and (3)");
}
