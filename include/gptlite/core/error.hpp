#pragma once
// The exception types of the library, and `check`, which words a message as "[operation] what is wrong".

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "gptlite/config.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Base of every exception the library throws on purpose.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// Shapes that do not fit an operation.
struct ShapeError : Error {
  using Error::Error;
};
/// A token, row or axis outside its range.
struct IndexError : Error {
  using Error::Error;
};
/// backward() without a graph, through a freed graph, or a gradient that is not there.
struct GraphError : Error {
  using Error::Error;
};
/// An option or configuration value that cannot work.
struct ConfigError : Error {
  using Error::Error;
};
/// Text, tokens or files that cannot be used.
struct DataError : Error {
  using Error::Error;
};
/// A file that cannot be written: no space, no permission, a failing disk.
struct IoError : Error {
  using Error::Error;
};

/// Throws E with the message "[where] part part ...". Parts are anything an ostream prints.
template <class E, class... Parts>
[[noreturn]] void fail(std::string_view where, const Parts&... parts) {
  std::ostringstream message;
  message << '[' << where << "] ";
  static_cast<void>((message << ... << parts));
  throw E(message.str());
}

/// Throws E as `fail` does unless `condition` holds. The message is only composed when it is needed.
template <class E, class... Parts>
void check(bool condition, std::string_view where, const Parts&... parts) {
  if (!condition) [[unlikely]]
    fail<E>(where, parts...);
}

}  // namespace gptlite::inline GPTLITE_ABI
