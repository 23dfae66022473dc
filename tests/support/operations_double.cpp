// The cases in double.
#include "support/operation_cases.hpp"

template std::vector<operations::Case<double>> operations::cases<double>();
