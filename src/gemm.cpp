// Compiled mode: products of matrices, and the kernels that use them.
#include "gptlite/kernels/activations.hpp"
#include "gptlite/kernels/softmax.hpp"
//
#include "define.hpp"
#include "gptlite/kernels/linear.hpp"
#include "gptlite/kernels/linear_cross_entropy.hpp"
#include "gptlite/kernels/mlp.hpp"
