#pragma once
// Which sanitizer watches: tests whose work is repeated only for certainty repeat it less often then.

#include "gptlite/config.hpp"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GPTLITE_THREAD_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define GPTLITE_THREAD_SANITIZER 1
#endif
#ifndef GPTLITE_THREAD_SANITIZER
#define GPTLITE_THREAD_SANITIZER 0
#endif

inline constexpr bool thread_sanitizer = GPTLITE_THREAD_SANITIZER == 1;
inline constexpr bool sanitized = thread_sanitizer || GPTLITE_RECYCLE == 0;
