// Storage: aligned blocks that copies share and that are handed out again when they are free.

#include "gptlite/core/storage.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/throws.hpp"

using namespace gptlite;

namespace {

bool aligned(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 64 == 0; }

}  // namespace

TEST_CASE("storages are aligned to 64 bytes whatever their size") {
  std::vector<Storage<char>> bytes;
  std::vector<Storage<double>> numbers;
  for (const Index size : {0, 1, 7, 64, 65, 1000, 4097}) {
    bytes.emplace_back(size);
    numbers.emplace_back(size);
    CHECK(bytes.back().size() == size);
    CHECK(static_cast<bool>(bytes.back()));
    CHECK(aligned(bytes.back().data()));
    CHECK(aligned(numbers.back().data()));
  }
}

TEST_CASE("zeros clears a block that was used before") {
  {
    const Storage<float> used(100);
    for (Index i = 0; i < 100; ++i) used.data()[i] = 3;
  }
  const Storage<float> zeros = Storage<float>::zeros(100);
  for (Index i = 0; i < 100; ++i) REQUIRE(zeros.data()[i] == 0);
  zeros.data()[99] = 5;
  zeros.fill_zero();
  CHECK(zeros.data()[99] == 0);
  Storage<float>::zeros(0).fill_zero();  // nothing to do
  Storage<float>().fill_zero();
}

TEST_CASE("copies share a block and unique tells whether there are any") {
  const Storage<int> storage(3);
  CHECK(storage.unique());
  {
    const Storage<int> copy = storage;
    CHECK(copy.data() == storage.data());
    CHECK_FALSE(storage.unique());
    CHECK_FALSE(copy.unique());
  }
  CHECK(storage.unique());
}

TEST_CASE("an empty storage holds nothing and is no owner") {
  const Storage<int> none;
  CHECK_FALSE(static_cast<bool>(none));
  CHECK(none.size() == 0);
  CHECK(none.data() == nullptr);
  CHECK_FALSE(none.unique());
}

TEST_CASE("a borrowed storage leaves the memory to its owner") {
  int numbers[] = {1, 2, 3};
  const std::size_t before = cached_memory();
  {
    const Storage<int> borrowed = Storage<int>::borrowed(numbers, 3);
    CHECK(borrowed.data() == numbers);
    CHECK(borrowed.size() == 3);
    borrowed.data()[1] = 20;
  }
  CHECK(numbers[1] == 20);
  CHECK(cached_memory() == before);
}

TEST_CASE("a borrowed storage's owner is released once, by the last copy") {
  int numbers[] = {1, 2, 3}, released = 0;
  const auto owner = [&] { return std::shared_ptr<void>(numbers, [&](void*) { ++released; }); };
  {
    const Storage<int> storage = Storage<int>::borrowed(numbers, 3, owner());
    CHECK(storage.data() == numbers);
    CHECK(storage.unique());
    Storage<int> copy = storage;
    CHECK_FALSE(storage.unique());
    copy = {};
    CHECK(released == 0);
    CHECK(storage.unique());
  }
  CHECK(released == 1);

  std::shared_ptr<void> shared = owner();
  Storage<int> storage = Storage<int>::borrowed(numbers, 3, shared);
  CHECK(shared.use_count() == 2);
  CHECK(storage.unique());  // as far as storages go
  storage = {};
  CHECK(shared.use_count() == 1);
  CHECK(released == 1);
  shared.reset();
  CHECK(released == 2);

  Storage<int>::borrowed(nullptr, 0, owner());  // no memory: nothing to keep alive
  CHECK(released == 3);
}

TEST_CASE("a null pointer is no borrowed storage") {
  CHECK(Storage<int>::borrowed(nullptr, 0).size() == 0);
  CHECK(message_of<ShapeError>([] { Storage<int>::borrowed(nullptr, 3); }) ==
        "[storage] a null pointer holds no 3 elements");
}

TEST_CASE("blocks are rounded up to one of eight steps between powers of two") {
  const auto rounded = [](std::size_t bytes) { return gptlite::detail::BlockCache::rounded(bytes); };
  CHECK(rounded(0) == 64u);
  CHECK(rounded(1) == 64u);
  CHECK(rounded(64) == 64u);
  CHECK(rounded(65) == 128u);
  CHECK(rounded(1024) == 1024u);
  CHECK(rounded(1025) == 1152u);
  CHECK(rounded(1152) == 1152u);
  CHECK(rounded(2047) == 2048u);
  CHECK(rounded(2049) == 2304u);
  for (std::size_t bytes = 512; bytes < 100000; bytes += 37) {
    REQUIRE(rounded(bytes) >= bytes);
    REQUIRE(8 * (rounded(bytes) - bytes) < bytes);
    REQUIRE(rounded(rounded(bytes)) == rounded(bytes));
  }
}

#if GPTLITE_RECYCLE
TEST_CASE("a freed block is handed out again for a storage of about its size") {
  release_cached_memory();
  CHECK(cached_memory() == 0u);
  const void* block = nullptr;
  {
    const Storage<double> first(1000);
    block = first.data();
    CHECK(cached_memory() == 0u);
  }
  CHECK(cached_memory() == 8192u);
  {
    const Storage<double> second(1000);
    CHECK(second.data() == block);
    CHECK(cached_memory() == 0u);
  }
  const Storage<float> third(1990);  // other type, 40 bytes less: the same step
  CHECK(static_cast<const void*>(third.data()) == block);
  const Storage<float> other(1900);  // a smaller step
  CHECK(static_cast<const void*>(other.data()) != block);
}

TEST_CASE("sizes that go by do not pile up: no more is kept than twice what was in use at once") {
  detail::BlockCache cache;  // of its own: the peak of the library's includes that of other tests
  std::size_t freed = 0;
  constexpr std::size_t largest = std::size_t{1} << 25;
  for (std::size_t bytes = largest; bytes >= 1 << 17; bytes = bytes * 7 / 8) {  // each in a step of its own
    const std::size_t size = detail::BlockCache::rounded(bytes);
    cache.give_back(cache.take(size), size);
    freed += size;
  }
  REQUIRE(freed > 7 * largest);
  CHECK(cache.cached_bytes() <= 2 * largest);
  CHECK(cache.cached_bytes() > 0u);
  cache.clear();
}

TEST_CASE("release_cached_memory gives all free blocks back") {
  { const Storage<double> freed(1000), also_freed(50000); }
  CHECK(cached_memory() >= 408000u);
  release_cached_memory();
  CHECK(cached_memory() == 0u);
}
#else
TEST_CASE("without recycling no memory is kept") {
  { const Storage<double> freed(1000); }
  CHECK(cached_memory() == 0u);
}
#endif

TEST_CASE("sizes whose bytes overflow are refused") {
  constexpr Index too_many = std::numeric_limits<Index>::max() / 8 + 1;
  CHECK(message_of<ShapeError>([] { Storage<double>{too_many}; }) ==
        "[storage] " + std::to_string(too_many) + " elements of 8 bytes overflow");
  CHECK(message_of<ShapeError>([] { Storage<float>{-1}; }) == "[storage] -1 elements of 4 bytes overflow");
}
