// Compiled mode: attention, forward and backward.
#include "gptlite/kernels/attention_block.hpp"
//
#include "define.hpp"
#include "gptlite/kernels/attention.hpp"
#include "gptlite/kernels/attention_backward.hpp"
