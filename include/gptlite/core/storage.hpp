#pragma once
// Storage: a reference-counted, 64-byte aligned block of elements. Freed blocks are kept and reused, so a training step
// allocates nothing and touches no new page after the first.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gptlite/core/error.hpp"
#include "gptlite/core/shape.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace gptlite::inline GPTLITE_ABI {

namespace detail {

/// Documented global: the free blocks of all threads, by size. Blocks in use and free blocks together take at most
/// twice the peak of memory in use: a step of fixed sizes needs 1.1 times the peak, but where sizes change from step to
/// step, for example with batches of texts, blocks of sizes no longer used would accumulate.
class BlockCache {
 public:
  /// Size in bytes from which blocks are aligned to huge pages and request them. One TLB entry then covers 2 MB; with
  /// pages of 4 KB the rows of a wide matrix would use up the entries.
  static constexpr std::size_t huge_page = std::size_t{1} << 21;

  static std::align_val_t alignment(std::size_t bytes) { return std::align_val_t{bytes >= huge_page ? huge_page : 64}; }

  BlockCache() = default;
  // Never destroyed: storages with static lifetime may return their blocks after main.
  static BlockCache& instance() {
    static BlockCache* const cache = new BlockCache;  // documented global: see above
#if defined(__unix__) || defined(__APPLE__)
    // A child that is forked while another thread holds the lock would wait for it forever: the forking thread takes
    // it.
    [[maybe_unused]] static const int registered =
        pthread_atfork([] { cache->mutex_.lock(); }, [] { cache->mutex_.unlock(); }, [] { cache->mutex_.unlock(); });
#endif
    return *cache;
  }

  /// `bytes` rounded up to a multiple of 64, and from 512 on to one of eight steps between powers of two (at most 12.5%
  /// more), so tensors of almost equal size share blocks.
  static std::size_t rounded(std::size_t bytes) {
    std::size_t step = 64;
    while (step * 16 <= bytes) step *= 2;
    return std::max<std::size_t>((bytes + step - 1) / step * step, 64);
  }

  [[gnu::noinline]] void* take(std::size_t bytes) {
    if constexpr (GPTLITE_RECYCLE == 0) return allocate(bytes);
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = free_.find(bytes); found != free_.end() && !found->second.empty()) {
        void* block = found->second.back();
        found->second.pop_back();
        cached_bytes_ -= bytes;
        note_used(bytes);
        return block;
      }
    }
    void* block = nullptr;
    try {
      block = allocate(bytes);
    } catch (const std::bad_alloc&) {
      clear();  // free blocks of other sizes may hold the memory needed
      block = allocate(bytes);
    }
    const std::lock_guard lock(mutex_);
    note_used(bytes);
    return block;
  }

  [[gnu::noinline]] void give_back(void* block, std::size_t bytes) noexcept {
    if constexpr (GPTLITE_RECYCLE != 0) {
      try {
        const std::lock_guard lock(mutex_);
        used_bytes_ -= bytes;
        if (used_bytes_ + cached_bytes_ + bytes > 2 * peak_bytes_) free_all();
        free_[bytes].push_back(block);
        cached_bytes_ += bytes;
        return;
      } catch (...) {  // no memory to record the block: free it instead
      }
    }
    free(block, bytes);
  }

  void clear() {
    const std::lock_guard lock(mutex_);
    free_all();
  }

  std::size_t cached_bytes() {
    const std::lock_guard lock(mutex_);
    return cached_bytes_;
  }

 private:
  void note_used(std::size_t bytes) {
    used_bytes_ += bytes;
    peak_bytes_ = std::max(peak_bytes_, used_bytes_);
  }
  static void* allocate(std::size_t bytes) {
    void* block = ::operator new(bytes, alignment(bytes), std::nothrow);
    if (block == nullptr) throw OutOfMemory(bytes);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    // Whole huge pages only. A kernel without them refuses, which costs speed and nothing else.
    if (bytes >= huge_page) madvise(block, bytes / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    return block;
  }
  void free_all() noexcept {
    for (auto& [bytes, blocks] : free_)
      for (void* block : blocks) free(block, bytes);
    free_.clear();
    cached_bytes_ = 0;
  }
  static void free(void* block, std::size_t bytes) noexcept { ::operator delete(block, alignment(bytes)); }

  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<void*>> free_;
  std::size_t cached_bytes_ = 0, used_bytes_ = 0, peak_bytes_ = 0;
};

}  // namespace detail

/// Bytes of freed tensors that are kept for reuse.
inline std::size_t cached_memory() { return detail::BlockCache::instance().cached_bytes(); }
/// Returns all memory kept for reuse to the system.
inline void release_cached_memory() { detail::BlockCache::instance().clear(); }

/// `size` elements of a trivial type T, uninitialized, aligned to 64 bytes unless borrowed. Copies share the block.
/// Throws ShapeError if the size in bytes overflows, OutOfMemory if the system has no memory.
template <class T>
class Storage {
  static_assert(std::is_trivially_copyable_v<T>, "tensors hold plain numbers");

 public:
  Storage() = default;
  [[gnu::noinline]] explicit Storage(Index size) : size_(size) {
    // The shape was checked in elements; the size in bytes may still overflow.
    check<ShapeError>(static_cast<std::size_t>(size) <= static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T), "storage",
                      size, " elements of ", sizeof(T), " bytes overflow");
    const std::size_t bytes = detail::BlockCache::rounded(static_cast<std::size_t>(size) * sizeof(T));
    void* block = detail::BlockCache::instance().take(bytes);
    try {  // the shared_ptr gives the block back if it has no memory for its count
      block_ = std::shared_ptr<T[]>(static_cast<T*>(block),
                                    [bytes](T* p) noexcept { detail::BlockCache::instance().give_back(p, bytes); });
    } catch (const std::bad_alloc&) {
      throw OutOfMemory(bytes);
    }
  }
  static Storage zeros(Index size) {
    Storage storage(size);
    storage.fill_zero();
    return storage;
  }
  /// Elements owned by somebody else, aligned like T. The memory is never freed here and must outlive all copies:
  /// either the caller keeps it alive, or `owner` does. `owner` is released once, with the last copy, on the thread
  /// that drops it. Throws ShapeError for a null pointer unless size is 0.
  static Storage borrowed(T* data, Index size, std::shared_ptr<void> owner = nullptr) {
    check<ShapeError>(data != nullptr || size == 0, "storage", "a null pointer holds no ", size, " elements");
    if (data == nullptr) return Storage(0);  // an empty matrix of Eigen has no address
    Storage storage;
    // The owner is in the deleter, not an alias: unique() counts copies of the storage alone, whoever else holds the
    // owner.
    storage.block_ = std::shared_ptr<T[]>(data, [owner = std::move(owner)](T*) mutable noexcept { owner.reset(); });
    storage.size_ = size;
    return storage;
  }

  T* data() const { return block_.get(); }
  Index size() const { return size_; }
  void fill_zero() const {
    if (size_ > 0) std::memset(static_cast<void*>(data()), 0, static_cast<std::size_t>(size_) * sizeof(T));
  }
  explicit operator bool() const { return block_ != nullptr; }
  /// True if no other Storage shares this block.
  bool unique() const { return block_.use_count() == 1; }
  /// Expires with the last Storage that shares this block, and does not count as one.
  std::weak_ptr<const void> watch() const { return std::shared_ptr<const void>(block_); }

 private:
  std::shared_ptr<T[]> block_;
  Index size_ = 0;
};

}  // namespace gptlite::inline GPTLITE_ABI
