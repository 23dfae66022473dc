#pragma once
// The exception types of the library, and `check`, which formats a message as "[operation] what is wrong".

#include <array>
#include <cstddef>
#include <cstdio>
#include <initializer_list>
#include <new>
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
/// A backward() without a graph or through a freed graph, or a missing gradient.
struct GraphError : Error {
  using Error::Error;
};
/// A number that is not finite, found under AnomalyMode.
struct AnomalyError : Error {
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
/// Memory that the system does not provide. A std::bad_alloc, as handlers expect, whose text gives the number of bytes
/// requested. Small allocations, such as of a name or of a node of the graph, throw std::bad_alloc itself: catch that
/// to catch both. docs/training.md says what is as it was.
class OutOfMemory : public std::bad_alloc {
 public:
  /// Allocates nothing.
  explicit OutOfMemory(std::size_t bytes) noexcept : bytes_(bytes) {
    std::snprintf(text_.data(), text_.size(),
                  "no memory for %zu bytes: make the batch, the context or the model smaller", bytes);
  }
  const char* what() const noexcept override { return text_.data(); }
  /// Number of bytes requested.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::size_t bytes_;
  std::array<char, 96> text_;
};

namespace detail {

/// Prints text that may come from a file: control characters as \xNN, so a terminal obeys none of them. Only the
/// beginning of a long text is printed, then its length.
[[gnu::cold]] inline void print_text(std::ostream& out, std::string_view text) {
  constexpr std::size_t most = 4096;
  for (const char c : text.substr(0, most)) {
    constexpr const char* digits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte != 0x7f) || c == '\n' || c == '\t')
      out << c;
    else
      out << "\\x" << digits[byte / 16] << digits[byte % 16];
  }
  if (text.size() > most) out << "... (" << text.size() << " bytes)";
}

/// A part of a message, by reference: anything that an ostream prints.
class MessagePart {
 public:
  MessagePart(std::string_view text)  // NOLINT: implicit, as an element of a list
      : data_(text.data()), size_(text.size()), print_([](std::ostream& out, const void* data, std::size_t size) {
          print_text(out, std::string_view(static_cast<const char*>(data), size));
        }) {}
  MessagePart(const char* text) : MessagePart(std::string_view(text)) {}         // NOLINT
  MessagePart(const std::string& text) : MessagePart(std::string_view(text)) {}  // NOLINT
  template <class Part>
  MessagePart(const Part& part)  // NOLINT
      : data_(&part),
        size_(0),
        print_([](std::ostream& out, const void* data, std::size_t) { out << *static_cast<const Part*>(data); }) {}

  friend std::ostream& operator<<(std::ostream& out, const MessagePart& part) {
    part.print_(out, part.data_, part.size_);
    return out;
  }

 private:
  const void* data_;
  std::size_t size_;
  void (*print_)(std::ostream&, const void*, std::size_t);
};

/// Returns "[where] part part ...".
[[gnu::cold]] inline std::string message(std::string_view where, std::initializer_list<MessagePart> parts) {
  std::ostringstream text;
  text << '[' << where << "] ";
  for (const MessagePart& part : parts) text << part;
  return text.str();
}

template <class E>
[[noreturn, gnu::cold, gnu::noinline]] void throw_message(std::string_view where,
                                                          std::initializer_list<MessagePart> parts) {
  throw E(message(where, parts));
}

}  // namespace detail

/// Throws E with the message "[where] part part ...". Parts are anything that an ostream prints.
template <class E, class... Parts>
[[noreturn]] void raise(std::string_view where, const Parts&... parts) {
  detail::throw_message<E>(where, {detail::MessagePart(parts)...});
}

/// Throws E, as `raise` does, unless `condition` holds. The message is composed only then.
template <class E, class... Parts>
void check(bool condition, std::string_view where, const Parts&... parts) {
  if (!condition) [[unlikely]]
    raise<E>(where, parts...);
}

}  // namespace gptlite::inline GPTLITE_ABI
