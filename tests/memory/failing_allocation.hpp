#pragma once
// operator new that fails on request: of this program's allocations number `first` fails, or all from there on.

#include <cstddef>

/// While it is in scope, allocations are counted from 0, on all threads, and fail from number `first` on.
class FailingAllocation {
 public:
  enum class Which { one, all_after };

  FailingAllocation(long first, Which which);
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  /// Number of allocations that failed.
  static long failures();
};
