// SPDX-License-Identifier: Apache-2.0
//
// The choices of a run: all from one seed, so that a failure is found again.
#ifndef LNGD_FUZZ_RANDOM_HPP
#define LNGD_FUZZ_RANDOM_HPP

#include <cmath>
#include <cstdint>
#include <initializer_list>

namespace fuzz {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() { // splitmix64
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  // 0 to below n.
  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(n)); }
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  bool once_in(std::int64_t n) { return below(n) == 0; }
  template <class T>
  T of(std::initializer_list<T> values) {
    return values.begin()[below(static_cast<std::int64_t>(values.size()))];
  }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

  // Of ordinary size in most cases, now and then anything that a float can be.
  float number() {
    if (!once_in(400)) return static_cast<float>(2 * uniform() - 1);
    return of({0.0f, -0.0f, 1e-45f, 1e-38f, 1e-20f, 1e11f, 1e20f, 3e38f, -3e38f, INFINITY, -INFINITY, NAN});
  }
  // For settings: in range or not.
  double setting() {
    return of({uniform(), uniform(), 1e-3, 1e-8, 0.0, 1.0, 2.0, -1.0, 1e6, 1e300, -1e300, 1e-300, HUGE_VAL, -HUGE_VAL,
               static_cast<double>(NAN)});
  }
  std::int32_t whole() {
    return of<std::int32_t>({0, 1, 2, 3, 5, 7, -1, -2, 128, 65536, 1000000, INT32_MAX, INT32_MIN});
  }

 private:
  std::uint64_t state_;
};

} // namespace fuzz

#endif // LNGD_FUZZ_RANDOM_HPP
