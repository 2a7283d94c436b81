// SPDX-License-Identifier: Apache-2.0
// Layers whose second factor is a matrix (KFAC, TKFAC, EKFAC): what the kernels of LNGD call for them.
//
//   KFAC, EKFAC   A = (1/N) sum a a^T        B = (1/(N T)) sum g g^T
//   TKFAC         Phi = (1/N) sum r a a^T    Psi = sum c g g^T / sum c r
#ifndef LNGD_BACKEND_CPU_KERNELS_SECOND_FACTOR_H
#define LNGD_BACKEND_CPU_KERNELS_SECOND_FACTOR_H

#include <cmath>

#include "backend/cpu/conv_tiles.h"
#include "backend/cpu/kernels/kernels.h"

namespace lngd::cpu::LNGD_ISA {

// What a and g of a row are multiplied by before their outer products are added.
struct RowScales {
  float a, g;
};
inline RowScales row_scales(int32_t approximation, double c, double r) {
  if (approximation != LNGD_APPROXIMATION_TKFAC) return {1.0f, 1.0f};
  return {static_cast<float>(std::sqrt(r)), static_cast<float>(std::sqrt(c))};
}

// Sums over the rows of one group.
struct RowTotals {
  double product = 0; // c r
  double inputs = 0;  // c
  double signals = 0; // r

  void add(double c, double r) { product += c * r, inputs += c, signals += r; }
};

// Adds the totals of a group to the layer's. False where an element of a factor may have left float's range, or is NaN:
// it is bounded by c r for TKFAC, by c or r for KFAC.
inline bool add_totals(const LayerShape& shape, const LayerMemory& memory, int64_t group, const RowTotals& totals) {
  const double product = memory.denominator[group] += totals.product;
  const double inputs = memory.totals[group] += totals.inputs;
  const double signals = memory.totals[shape.groups + group] += totals.signals;
  if (shape.approximation == LNGD_APPROXIMATION_TKFAC) return product < kOverflow;
  // EKFAC's squares are bounded by c r on top of that.
  return inputs < kOverflow && signals < kOverflow && (!shape.eigenbasis() || product < kOverflow);
}

// layer_statistics and conv_statistics (after reserve_conv) of such a layer.
void paired_statistics(CpuContext& context, const StatisticsArgs& args);
void paired_conv_statistics(CpuContext& context, const ConvStatisticsArgs& args, const ConvTiles& tiles);

// EKFAC (scales.cpp): what the rows of a panel, or of a chunk, add to the squares in the basis in use.
void add_scales(CpuContext& context, const StatisticsArgs& args, int64_t first, int64_t rows);
void add_conv_scales(CpuContext& context, const ConvStatisticsArgs& args, const ConvTiles& tiles,
                     const ConvChunk& chunk);
// S of a layer after an update of the statistics, and after a new basis; then lambda.
void average_scales(const StepLayer& layer, const lngd_config& config, double keep, bool accept, double samples);
void restart_scales(const StepLayer& layer, const lngd_config& config);

// precondition of a plan of such layers: D = B^-1 G A^-1 and its inner products.
void dense_precondition(CpuContext& context, const StepArgs& args);
// The same with config.orthogonalise.
void orthogonal_precondition(CpuContext& context, const StepArgs& args);

} // namespace lngd::cpu::LNGD_ISA
#endif
