#pragma once
// message_of: the text of the exception that an expression throws, for tests that assert what users read.

#include <string>

#include "gptlite/core/error.hpp"

/// What f() throws as an E; "no exception" or "another exception: ..." otherwise.
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another exception: ") + error.what();
  }
  return "no exception";
}
