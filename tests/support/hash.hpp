#pragma once
// FNV-1a over 32-bit values, as tests/fixtures/make_tokenizers.py computes it.

#include <cstdint>

struct Hash {
  std::uint64_t value = 0xCBF29CE484222325;
  void add(std::uint32_t next) { value = (value ^ next) * 0x100000001B3; }
};
