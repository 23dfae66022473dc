// Compiled mode: generation.
#include "gptlite/kernels/gemm/gemm.hpp"
#include "gptlite/models/gpt.hpp"
//
#include "define.hpp"
#include "gptlite/generate/decoder.hpp"
#include "gptlite/generate/session.hpp"
#include "gptlite/kernels/attention/cached.hpp"
#include "gptlite/kernels/packed/packed_matrix.hpp"
