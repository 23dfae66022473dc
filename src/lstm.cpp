// Compiled mode: the passes of an LSTM.
#include "gptlite/kernels/linear.hpp"
//
#include "define.hpp"
#include "gptlite/kernels/lstm/backward.hpp"
