#pragma once
// File calls for tests: UnsyncedCalls do not wait for the disk; RecordedCalls are recorded, and one can be made to
// fail.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gptlite/core/file_calls.hpp"

/// Nothing waits for the disk: for tests that save hundreds of times and lose no power.
struct UnsyncedCalls : gptlite::io::FileCalls {
  int sync(int) override { return 0; }
  int sync_folder(const char*) override { return 0; }
};

struct RecordedCalls : UnsyncedCalls {
  std::vector<std::string> made;
  std::function<void(const std::string& call)> before = [](const std::string&) {};  // may throw: a killed process

  /// Starts anew, and lets the call of that number, counted from 0, fail with errno `reason`; -1: none.
  void fail(int call, int reason) {
    made.clear();
    failing_ = call;
    reason_ = reason;
  }

  int create(const char* path) override {
    return make("open", [&] { return FileCalls::create(path); });
  }
  int open_append(const char* path) override {
    return make("open to append", [&] { return FileCalls::open_append(path); });
  }
  std::ptrdiff_t write(int file, const void* bytes, std::size_t n) override {
    return make("write", [&] { return FileCalls::write(file, bytes, n); });
  }
  int truncate(int file, std::uint64_t size) override {
    return make("truncate", [&] { return FileCalls::truncate(file, size); });
  }
  int sync(int file) override {
    return make("fsync", [&] { return UnsyncedCalls::sync(file); });
  }
  int close(int file) override {
    return make("close", [&] { return FileCalls::close(file); });
  }
  int lock(int file) override {
    return make("lock", [&] { return FileCalls::lock(file); });
  }
  int rename(const char* from, const char* to) override {
    return make("rename", [&] { return FileCalls::rename(from, to); });
  }
  int exchange(const char* a, const char* b) override {
    return make("exchange", [&] { return FileCalls::exchange(a, b); });
  }
  int link(const char* from, const char* to) override {
    return make("link", [&] { return FileCalls::link(from, to); });
  }
  int remove(const char* path) override {
    return make("remove", [&] { return FileCalls::remove(path); });
  }
  int make_folder(const char* path) override {
    return make("mkdir", [&] { return FileCalls::make_folder(path); });
  }
  int sync_folder(const char* path) override {
    return make("fsync of folder", [&] { return UnsyncedCalls::sync_folder(path); });
  }

 private:
  template <class Call>
  auto make(const char* name, Call&& call) -> decltype(call()) {
    before(name);
    made.push_back(name);
    if (static_cast<int>(made.size()) - 1 != failing_) return call();
    errno = reason_;
    return -1;
  }
  int failing_ = -1, reason_ = 0;
};
