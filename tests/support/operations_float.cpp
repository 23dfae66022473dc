// The cases in float.
#include "support/operation_cases.hpp"

template std::vector<operations::Case<float>> operations::cases<float>();
