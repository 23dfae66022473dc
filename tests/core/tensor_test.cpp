// Tensor: construction, element access, views of the same numbers, and the gradient's place.

#include "gptlite/core/tensor.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "support/throws.hpp"

using namespace gptlite;
using TensorF = Tensor<float>;

TEST_CASE("zeros and ones and full fill every element") {
  CHECK(TensorF::zeros({2, 2}).to_vector() == std::vector<float>{0, 0, 0, 0});
  CHECK(TensorF::ones({3}).to_vector() == std::vector<float>{1, 1, 1});
  CHECK(Tensor<int>::full({2}, 7).to_vector() == std::vector<int>{7, 7});
  CHECK(TensorF::zeros({2, 0}).to_vector().empty());
  CHECK(TensorF::empty({2, 3}).shape() == Shape{2, 3});
}

TEST_CASE("a scalar has rank 0 and item returns its number") {
  const TensorF scalar = TensorF::scalar(2.5F);
  CHECK(scalar.rank() == 0);
  CHECK(scalar.numel() == 1);
  CHECK(scalar.item() == 2.5F);
  CHECK(TensorF::full({1, 1}, 3).item() == 3);
}

TEST_CASE("from copies values in row-major order") {
  std::vector<float> values{1, 2, 3, 4, 5, 6};
  const TensorF matrix = TensorF::from(values, {2, 3});
  values[0] = 100;
  CHECK(matrix.at({0, 0}) == 1);
  CHECK(matrix.at({0, 2}) == 3);
  CHECK(matrix.at({1, 0}) == 4);
  CHECK(TensorF::from({1, 2, 3}).shape() == Shape{3});
}

TEST_CASE("wrong numbers of values and elements are refused") {
  CHECK(message_of<ShapeError>([] { TensorF::from({1, 2, 3}, {2, 2}); }) == "[from] 3 values do not fill shape (2, 2)");
  CHECK(message_of<ShapeError>([] { TensorF::zeros({2}).item(); }) == "[item] needs one element, got shape (2)");
  CHECK(message_of<ShapeError>([] { TensorF::zeros({0}).item(); }) == "[item] needs one element, got shape (0)");
  CHECK(message_of<ShapeError>([] {
          TensorF::zeros({2, 3}).view({5});
        }) == "[reshape] (2, 3) has 6 elements, (5) has 5");
  CHECK(message_of<ShapeError>([] { TensorF::zeros({2, -1}); }) == "[shape] size -1 of (2, -1) is negative");
}

TEST_CASE("at reads and writes one element and refuses positions outside") {
  TensorF tensor = TensorF::zeros({2, 3});
  tensor.at({1, 2}) = 9;
  CHECK(tensor.data()[5] == 9);
  CHECK(message_of<IndexError>([&] { tensor.at({2, 0}); }) == "[at] index 2 on axis 0 is outside shape (2, 3)");
  CHECK(message_of<IndexError>([&] { tensor.at({0, -1}); }) == "[at] index -1 on axis 1 is outside shape (2, 3)");
  CHECK(message_of<IndexError>([&] { tensor.at({1}); }) == "[at] 1 indices for shape (2, 3)");
  CHECK(message_of<IndexError>([&] { tensor.at({0, 0, 0}); }) == "[at] 3 indices for shape (2, 3)");
}

TEST_CASE("an undefined tensor stands for none") {
  CHECK_FALSE(TensorF().defined());
  CHECK_FALSE(TensorF().requires_grad());
  CHECK(TensorF::zeros({0}).defined());
  CHECK(TensorF::from_blob(nullptr, {0, 3}).defined());
  const std::string message = "[tensor] this tensor is undefined: it holds no numbers";
  CHECK(message_of<ShapeError>([] { TensorF().to_vector(); }) == message);
  CHECK(message_of<ShapeError>([] { TensorF().item(); }) == message);
  CHECK(message_of<ShapeError>([] { TensorF().clone(); }) == message);
  CHECK(message_of<ShapeError>([] { TensorF().at({}); }) == message);
}

TEST_CASE("copies and views share their numbers and clones do not") {
  TensorF tensor = TensorF::from({1, 2, 3, 4}, {2, 2});
  const TensorF handle = tensor, detached = tensor.detach(), view = tensor.view({4}), clone = tensor.clone();
  tensor.data()[3] = 40;
  CHECK(handle.at({1, 1}) == 40);
  CHECK(detached.at({1, 1}) == 40);
  CHECK(view.at({3}) == 40);
  CHECK(clone.at({1, 1}) == 4);
  CHECK(clone.shape() == Shape{2, 2});
}

TEST_CASE("cast converts every number") {
  const Tensor<int> whole = TensorF::from({1.9F, -1.9F, 3}, {3, 1}).cast<int>();
  CHECK(whole.to_vector() == std::vector<int>{1, -1, 3});
  CHECK(whole.shape() == Shape{3, 1});
  CHECK(Tensor<double>::from({0.1}).cast<float>().item() == 0.1F);
}

TEST_CASE("a borrowed tensor reads and writes the caller's memory") {
  std::vector<double> memory{1, 2, 3, 4};
  Tensor<double> tensor = Tensor<double>::from_blob(memory.data(), {2, 2});
  memory[2] = 30;
  CHECK(tensor.at({1, 0}) == 30);
  tensor.at({0, 1}) = 20;
  CHECK(memory[1] == 20);
}

TEST_CASE("a borrowed tensor keeps its owner until the last handle and view") {
  int released = 0;
  auto* const memory = new std::vector<float>{0, 1, 2, 3, 4};
  const auto owner = [&] {
    return std::shared_ptr<void>(memory, [&released, memory](void*) {
      ++released;
      delete memory;
    });
  };
  TensorF view;
  {
    const TensorF tensor = TensorF::from_blob(memory->data() + 1, {2, 2}, owner());  // aligned as a float, no more
    const TensorF copy = tensor;
    view = tensor.view({4});
    CHECK(copy.at({1, 1}) == 4);
  }
  CHECK(released == 0);
  CHECK(view.to_vector() == std::vector<float>{1, 2, 3, 4});
  const TensorF clone = view.clone();
  view = {};
  CHECK(released == 1);
  CHECK(clone.at({0}) == 1);
  CHECK(message_of<ShapeError>([] { TensorF::from_blob(nullptr, {2}); }) ==
        "[storage] a null pointer holds no 2 elements");
}

TEST_CASE("random tensors are functions of their stream") {
  const RandomStream stream{.seed = 1, .stream = 2}, other{.seed = 1, .stream = 3};
  const auto normal = [](RandomStream id) { return TensorF::normal({5, 7}, 1, 2, id).to_vector(); };
  CHECK(normal(stream) == normal(stream));
  CHECK(normal(stream) != normal(other));
  const std::vector<float> uniform = TensorF::uniform({5, 7}, -2, -1, stream).to_vector();
  CHECK(uniform.size() == 35u);
  for (const float x : uniform) CHECK((x >= -2 && x < -1));
}

TEST_CASE("requires_grad belongs to the tensors that are asked and to copies made afterwards") {
  TensorF tensor = TensorF::zeros({2});
  const TensorF before = tensor;
  CHECK_FALSE(tensor.requires_grad());
  tensor.set_requires_grad();
  CHECK(tensor.requires_grad());
  CHECK_FALSE(before.requires_grad());
  const TensorF after = tensor;
  CHECK(after.requires_grad());
  CHECK_FALSE(tensor.detach().requires_grad());
  CHECK_FALSE(tensor.clone().requires_grad());
  CHECK_FALSE(tensor.view({1, 2}).requires_grad());
  tensor.set_requires_grad(false);
  CHECK_FALSE(tensor.requires_grad());
}

TEST_CASE("a gradient that is not there is refused with the reason") {
  TensorF tensor = TensorF::zeros({2, 3});
  CHECK_FALSE(tensor.has_grad());
  CHECK(message_of<GraphError>([&] { tensor.grad(); }) ==
        "[grad] no gradient has arrived at this tensor of shape (2, 3): it does not require one");
  tensor.set_requires_grad();
  CHECK_FALSE(tensor.has_grad());
  CHECK(message_of<GraphError>([&] { tensor.grad(); }) ==
        "[grad] no gradient has arrived at this tensor of shape (2, 3): call backward() first (only leaves keep "
        "theirs)");
}

TEST_CASE("grad has the tensor's shape and zero_grad forgets it for all handles") {
  TensorF tensor = TensorF::zeros({2, 1});
  tensor.set_requires_grad();
  const TensorF handle = tensor;
  tensor.grad_state()->grad = Storage<float>::zeros(2);
  tensor.grad().data()[1] = 4;
  CHECK(handle.grad().shape() == Shape{2, 1});
  CHECK(handle.grad().to_vector() == std::vector<float>{0, 4});
  CHECK_FALSE(handle.grad().requires_grad());
  tensor.zero_grad();
  CHECK_FALSE(handle.has_grad());
  CHECK(handle.requires_grad());
}

TEST_CASE("without_data keeps shape and gradient and drops the numbers") {
  TensorF tensor = TensorF::zeros({2, 3});
  tensor.set_requires_grad();
  const TensorF handle = tensor.without_data();
  CHECK_FALSE(handle.defined());
  CHECK(handle.shape() == Shape{2, 3});
  CHECK(handle.grad_state() == tensor.grad_state());
  CHECK(tensor.storage().unique());
}
