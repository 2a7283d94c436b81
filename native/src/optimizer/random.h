// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers for the mode SAMPLED: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011), keyed so that the number of an element depends on nothing but
// (seed, layer, step, element): not on the backend, the thread or the order of work.
//
//   counter = { low(element / 4), high(element / 4), low(step), layer },  key = { low(seed), high(seed) }
//   the word of an element is output[element % 4]
#ifndef LNGD_OPTIMIZER_RANDOM_H
#define LNGD_OPTIMIZER_RANDOM_H

#include <cmath>
#include <cstdint>

#include "backend/portable.h"

namespace lngd {

struct PhiloxWords {
  uint32_t w[4];
};

LNGD_INLINE PhiloxWords philox4x32_10(PhiloxWords counter, uint32_t key0, uint32_t key1) {
  constexpr uint32_t kMul0 = 0xD2511F53u, kMul1 = 0xCD9E8D57u;   // the two multipliers
  constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u; // golden ratio, sqrt(3) - 1
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(kMul0) * counter.w[0];
    const uint64_t p1 = static_cast<uint64_t>(kMul1) * counter.w[2];
    counter = {{static_cast<uint32_t>(p1 >> 32) ^ counter.w[1] ^ key0, static_cast<uint32_t>(p1),
                static_cast<uint32_t>(p0 >> 32) ^ counter.w[3] ^ key1, static_cast<uint32_t>(p0)}};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return counter;
}

// The stream of one (seed, layer, step).
class PhiloxStream {
 public:
  LNGD_INLINE PhiloxStream(uint64_t seed, int32_t layer, int64_t step)
      : key0_(static_cast<uint32_t>(seed)),
        key1_(static_cast<uint32_t>(seed >> 32)),
        layer_(static_cast<uint32_t>(layer)),
        step_(static_cast<uint32_t>(step)) {}

  LNGD_INLINE PhiloxWords words(uint64_t element) const {
    const uint64_t group = element / 4;
    return philox4x32_10({{static_cast<uint32_t>(group), static_cast<uint32_t>(group >> 32), step_, layer_}}, key0_,
                         key1_);
  }

  // Uniform in (0, 1): the centre of one of 2^32 equal cells.
  LNGD_INLINE double uniform(uint64_t element) const { return unit(words(element).w[element % 4]); }

  // Standard normals of the four elements 4 group .. 4 group + 3: Box-Muller on the pairs (0, 1) and (2, 3). In double,
  // so that two math libraries differ by less than a float's rounding; a polynomial of our own would be no more
  // portable and less accurate.
  LNGD_INLINE void normals(uint64_t group, float out[4]) const {
    const PhiloxWords u = words(group * 4);
    for (int pair = 0; pair < 4; pair += 2) {
      const double radius = std::sqrt(-2.0 * std::log(unit(u.w[pair])));
      const double angle = kTwoPi * (u.w[pair + 1] * kCell);
      out[pair] = static_cast<float>(radius * std::cos(angle));
      out[pair + 1] = static_cast<float>(radius * std::sin(angle));
    }
  }

 private:
  static constexpr double kCell = 1.0 / 4294967296.0;
  static constexpr double kTwoPi = 6.283185307179586476925286766559;
  LNGD_INLINE static double unit(uint32_t u) { return (u + 0.5) * kCell; }

  uint32_t key0_, key1_, layer_, step_;
};

} // namespace lngd
#endif
