// SPDX-License-Identifier: Apache-2.0
// Where the sums of the coming update of all layers lie: one buffer of floats, one of doubles, so that an all-reduce
// takes two calls. Both are added element by element. The buffer of doubles begins with what the host has to see of
// a total, so that it reads it in one copy:
//
//   counts of layer 0, 1, ... | denominator and totals of each layer | the sums over outputs and diagonal elements
#ifndef LNGD_OPTIMIZER_SUMS_H
#define LNGD_OPTIMIZER_SUMS_H

#include <array>
#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace lngd {

// Doubles of a layer's counts: samples, and whether NaN, Inf or an overflow was met (of a total: on how many ranks).
constexpr int64_t kCounts = 2;
constexpr int32_t kSums = LNGD_SUM_SCALES + 1;

struct SumRange {
  int64_t offset, count; // in elements of its buffer
};

struct SumsLayout {
  std::vector<std::array<SumRange, kSums>> layers;
  int64_t floats = 0, doubles = 0;
  int64_t heads = 0; // doubles up to the end of the last denominator and totals

  explicit SumsLayout(const std::vector<const LayerShape*>& shapes);
  const SumRange& range(int32_t layer, int32_t sum) const {
    return layers[static_cast<size_t>(layer)][static_cast<size_t>(sum)];
  }
};

// Whether an element of a factor may have left float's range, or is NaN, by the sums that bound it: what the kernels
// of the statistics ask of one rank's.
bool overflown(const LayerShape& shape, const double* denominator, const double* totals);

} // namespace lngd
#endif
