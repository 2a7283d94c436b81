// SPDX-License-Identifier: Apache-2.0
// Memory of the CPU backend.
#ifndef LNGD_BACKEND_CPU_MEMORY_H
#define LNGD_BACKEND_CPU_MEMORY_H

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>

namespace lngd::cpu {

constexpr size_t kHugePage = size_t{2} << 20;

// Cache-line aligned, nullptr where memory runs out; for std::free. Large pieces ask for huge pages: columns of tiles
// and of matrices lie pages apart, and the second-level TLB has 2048 entries of 4 KiB for a matrix of 85 MB.
inline void* allocate_aligned(size_t bytes) {
  constexpr size_t kLine = 64;
  const bool large = bytes >= 2 * kHugePage;
  const size_t unit = large ? kHugePage : kLine, rounded = (bytes + unit - 1) / unit * unit;
  if (rounded < bytes) return nullptr;
  void* const memory = std::aligned_alloc(unit, rounded);
  if (memory && large) madvise(memory, rounded, MADV_HUGEPAGE); // a wish: nothing depends on it
  return memory;
}

} // namespace lngd::cpu
#endif
