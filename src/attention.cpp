// Compiled mode: attention, forward and backward.
#include "gptlite/kernels/attention/block.hpp"
//
#include "define.hpp"
#include "gptlite/kernels/attention/backward.hpp"
#include "gptlite/kernels/attention/forward.hpp"
