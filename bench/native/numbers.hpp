// SPDX-License-Identifier: Apache-2.0
// Random numbers by position: the same data in every run and on every machine.
#ifndef LNGD_BENCH_NATIVE_NUMBERS_HPP
#define LNGD_BENCH_NATIVE_NUMBERS_HPP

#include <cstdint>
#include <vector>

namespace bench {

// Uniform in [-1, 1): MurmurHash3's finaliser over the position.
inline float uniform(uint32_t seed, uint64_t position) {
  uint32_t x = static_cast<uint32_t>(position) * 0x9e3779b1u + static_cast<uint32_t>(position >> 32) + seed;
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  x ^= x >> 16;
  return static_cast<float>(static_cast<int32_t>(x)) * 0x1p-31f;
}

inline std::vector<float> random_floats(int64_t count, uint32_t seed, float scale = 1.0f) {
  std::vector<float> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values[static_cast<size_t>(i)] = scale * uniform(seed, static_cast<uint64_t>(i));
  return values;
}

} // namespace bench
#endif
