// SPDX-License-Identifier: Apache-2.0
// Where the numbers of a layer lie. The same on every backend.
#ifndef LNGD_BACKEND_LAYOUT_H
#define LNGD_BACKEND_LAYOUT_H

#include <algorithm>
#include <cstdint>

namespace lngd {

// Leading dimensions are multiples of 16 floats, one cache line and one AVX-512 register: rows start aligned.
constexpr int64_t kRowAlign = 16;
inline int64_t padded(int64_t n) { return (n + kRowAlign - 1) / kRowAlign * kRowAlign; }

// A strided matrix of the caller: element (i, j) at data + i * rs + j * cs. Any byte alignment.
struct Strided {
  float* data = nullptr;
  int64_t rs = 0;
  int64_t cs = 0;
};

// The diagonal blocks of a d x d factor, cut into contiguous blocks of `block` columns, the last of what is left. Block
// k is a row-major square of its own with leading dimension ld(k), at offset(k).
struct BlockLayout {
  int64_t d = 0;
  int64_t block = 0;

  BlockLayout() = default;
  BlockLayout(int64_t size, int64_t largest) : d(size), block(largest <= 0 ? size : std::min(size, largest)) {}

  int64_t count() const { return (d + block - 1) / block; }
  int64_t begin(int64_t k) const { return k * block; }
  int64_t size(int64_t k) const { return std::min(block, d - k * block); }
  int64_t ld(int64_t k) const { return padded(size(k)); }
  int64_t offset(int64_t k) const { return k * block * padded(block); }
  int64_t floats() const { return offset(count() - 1) + size(count() - 1) * ld(count() - 1); }
};

} // namespace lngd
#endif
