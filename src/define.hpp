// Include this in a source file of the compiled library: headers that are included after it, but not before, define the
// templates that they list with GPTLITE_COMPILED_FUNCTION and GPTLITE_COMPILED_CLASS. It has no include guard.
#include "gptlite/config.hpp"
#undef GPTLITE_EXTERN
#define GPTLITE_EXTERN
