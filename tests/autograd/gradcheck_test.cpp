// Gradients: every registered operation against finite differences; the registry is complete; gradcheck itself bites.

#include "gptlite/autograd/gradcheck.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <set>

#include "gptlite/core/text_file.hpp"
#include "support/operations.hpp"
#include "support/throws.hpp"

using namespace gptlite;

TEST_CASE("the gradient of every operation agrees with finite differences in double") {
  for (const auto& c : operations::cases<double>()) {
    CAPTURE(c.label);
    const GradcheckResult result = gradcheck(c.f, c.inputs);
    CHECK_MESSAGE(result, c.label << ": " << result.message);
    CHECK(result.error < 1e-6);
  }
}

TEST_CASE("a second backward adds the same gradients again") {
  for (auto& c : operations::cases<double>()) {
    std::vector<std::vector<double>> once(c.inputs.size());
    for (int pass = 1; pass <= 2; ++pass) {
      const Tensor<double> y = c.f(c.inputs);
      y.backward(operations::wave<double>(y.shape(), 5).detach());
      for (std::size_t n = 0; n < c.inputs.size(); ++n) {
        if (!c.inputs[n].has_grad()) continue;
        const std::vector<double> grad = c.inputs[n].grad().to_vector();
        if (pass == 1) once[n] = grad;
        for (std::size_t i = 0; i < grad.size(); ++i)
          CHECK_MESSAGE(std::abs(grad[i] - pass * once[n][i]) <= 1e-12 * (1 + std::abs(once[n][i])),
                        c.label << ": gradient of input " << n << ", pass " << pass);
      }
    }
  }
}

TEST_CASE("every operation that is recorded in the library is registered") {
  std::set<std::string> recorded, registered;
  for (const auto& file : std::filesystem::recursive_directory_iterator(GPTLITE_SOURCE_DIR "/include")) {
    if (!file.is_regular_file()) continue;
    const std::string text = io::read_text(file.path().string());
    for (const std::string call :
         {"record(\"", "pick_rows(\"", "record_activation(\""})  // helpers that record for several operations
      for (std::size_t at = text.find(call); at != std::string::npos; at = text.find(call, at + 1)) {
        const std::size_t name = at + call.size();
        recorded.insert(text.substr(name, text.find('"', name) - name));
      }
  }
  for (const auto& c : operations::cases<double>()) {
    registered.insert(c.operation);
    const Tensor<double> y = c.f(c.inputs);
    REQUIRE(y.requires_grad());
  }
  CHECK(recorded.size() > 20);
  for (const std::string& operation : recorded)
    CHECK_MESSAGE(registered.count(operation) == 1, operation, " has no case");
  for (const std::string& operation : registered)
    CHECK_MESSAGE(recorded.count(operation) == 1, operation, " is not there");
}

TEST_CASE("gradcheck finds a wrong gradient and says where") {
  const auto wrong = [](const std::vector<Tensor<double>>& in) {
    Tensor<double> y = Tensor<double>::empty(in[0].shape());
    for (Index i = 0; i < y.numel(); ++i) y.data()[i] = 3 * in[0].data()[i];
    return record("wrong", y, {in[0]}, [](Inputs<double> inputs, const Tensor<double>& dy) {
      for (Index i = 0; i < dy.numel(); ++i) inputs[0].grad()[i] += (i == 2 ? 2.99 : 3) * dy.data()[i];
    });
  };
  const GradcheckResult result = gradcheck(wrong, {operations::wave<double>({4}, 0)});
  CHECK_FALSE(result);
  CHECK(result.error > 1e-3);
  CHECK(result.message.find("input 0 (4), element 2") == 0);
}

TEST_CASE("gradcheck finds a gradient that is missing or not a number") {
  const auto with_gradient = [](double factor) {
    return [factor](const std::vector<Tensor<double>>& in) {
      return record("identity", in[0].clone(), {in[0]}, [factor](Inputs<double> inputs, const Tensor<double>& dy) {
        for (Index i = 0; i < dy.numel(); ++i) inputs[0].grad()[i] += factor * dy.data()[i];
      });
    };
  };
  CHECK(gradcheck(with_gradient(1), {operations::wave<double>({4}, 0)}));
  CHECK_FALSE(gradcheck(with_gradient(0), {operations::wave<double>({4}, 0)}));
  CHECK_FALSE(gradcheck(with_gradient(std::nan("")), {operations::wave<double>({4}, 0)}));
}
