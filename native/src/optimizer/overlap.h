// SPDX-License-Identifier: Apache-2.0
// Whether tensors of a plan lie on top of each other.
#ifndef LNGD_OPTIMIZER_OVERLAP_H
#define LNGD_OPTIMIZER_OVERLAP_H

#include <cstdint>
#include <vector>

#include "backend/layout.h"

namespace lngd {

// The bytes that a tensor of a plan reaches over.
struct Extent {
  const char* low;
  const char* high; // one past the last byte
  bool compact;     // without gaps
  bool written;
  int32_t binding;
  const char* field;
};

Extent extent(const Strided& view, int64_t rows, int64_t columns, bool written, int32_t binding, const char* field);

// Throws for two compact tensors that share a byte, one of them written. Tensors with gaps may interleave without
// touching (the bias as a column between weights), so only equal first elements are refused there. Sorts in place and
// allocates nothing.
void require_disjoint(std::vector<Extent>& extents);

} // namespace lngd
#endif
