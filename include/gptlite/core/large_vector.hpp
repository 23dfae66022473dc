#pragma once
// LargeVector: a std::vector for numbers that grow with the model, the input or the batch, and what brings the same to
// a std::vector that the public interface shows: memory that is not there is an OutOfMemory with the bytes asked for.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <new>
#include <utility>
#include <vector>

#include "gptlite/core/storage.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {

/// Allocates as std::allocator does. If there is no memory, it first returns what BlockCache keeps to the system.
template <class T>
struct LargeAllocator {
  using value_type = T;
  static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

  LargeAllocator() = default;
  template <class U>
  LargeAllocator(const LargeAllocator<U>&) noexcept {}  // NOLINT: containers convert it

  [[nodiscard]] T* allocate(std::size_t count) {
    void* block = ::operator new(count * sizeof(T), std::nothrow);  // std::vector has checked the product
    if (block == nullptr) {
      release_cached_memory();
      block = ::operator new(count * sizeof(T), std::nothrow);
    }
    if (block == nullptr) throw OutOfMemory(count * sizeof(T));
    return static_cast<T*>(block);
  }
  void deallocate(T* block, std::size_t) noexcept { ::operator delete(block); }
  friend bool operator==(LargeAllocator, LargeAllocator) { return true; }
};

}  // namespace detail

/// What makes a std::vector or std::string of the public interface throw OutOfMemory.
namespace memory {

/// Makes room for `count` elements; at least twice as many as there was room for, if it was too little.
template <class Container>
void reserve(Container& container, std::size_t count) {
  if (count <= container.capacity()) return;
  count = std::max(count, 2 * container.capacity());
  try {
    container.reserve(count);
  } catch (const std::bad_alloc&) {
    release_cached_memory();
    try {
      container.reserve(count);
    } catch (const std::bad_alloc&) {
      throw OutOfMemory(count * sizeof(typename Container::value_type));
    }
  }
}
/// container.push_back(value).
template <class Container, class Value>
void append(Container& container, Value&& value) {
  if (container.size() == container.capacity()) reserve(container, container.size() + 1);
  container.push_back(std::forward<Value>(value));
}
/// A std::vector of copies of the elements from `begin` to `end`.
template <class Iterator>
auto copy(Iterator begin, Iterator end) {
  std::vector<typename std::iterator_traits<Iterator>::value_type> elements;
  reserve(elements, static_cast<std::size_t>(end - begin));
  elements.insert(elements.end(), begin, end);
  return elements;
}

}  // namespace memory

/// std::vector that throws OutOfMemory.
template <class T>
using LargeVector = std::vector<T, detail::LargeAllocator<T>>;

}  // namespace gptlite::inline GPTLITE_ABI
