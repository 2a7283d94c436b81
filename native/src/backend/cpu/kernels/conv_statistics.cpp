// SPDX-License-Identifier: Apache-2.0
// conv_statistics: layer_statistics of a convolution, where every output position t of a sample n is a row:
//
//   r_nt = sum_i q_nti   c_nt = ||a_nt||^2   Phi += sum_nt r_nt a_nt a_nt^T   psi_i += sum_nt c_nt q_nti
//   denominator += sum_nt c_nt r_nt          each for every group of channels, r over the outputs of the group
//
// The targets of different positions are independent, so cross terms between positions vanish in expectation.
//
// A chunk of units (conv_tiles.h) goes by in two phases. Rows: image, q, r, c, psi, denominator, by units. c comes from
// the squares of the image summed over channels, kernel height x width additions instead of d. Patches: panel by panel,
// strip by strip, the rows sqrt(r_nt) a_nt are gathered and go through the SYRK of their diagonal blocks. NaN and Inf
// are seen in the denominators, before the patches, as in layer_statistics.
#include <cmath>

#include "backend/cpu/kernels/conv_patches.h"
#include "backend/cpu/kernels/conv_rows.h"
#include "backend/cpu/kernels/embedding.h"
#include "backend/cpu/kernels/fisher_row.h"
#include "backend/cpu/kernels/second_factor.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

// visit(row, q) for every row of a unit, counted in it; x is the workspace of a worker.
template <typename Visit>
void for_rows(const ConvStatisticsArgs& args, const ConvTiles& tiles, int64_t unit, float* workspace, Visit visit) {
  const LayerShape& shape = *args.shape;
  const FisherModel model(args);
  const int64_t ld = signal_ld(shape), rows = tiles.unit_rows(unit), n = unit / tiles.bands;
  const int64_t position = tiles.unit_first(unit) - n * tiles.positions;
  float* const eps = workspace + kRowTask * ld;
  float* const q = eps + padded(shape.outputs);
  for (int64_t begin = 0; begin < rows; begin += kRowTask) {
    const int64_t count = std::min(kRowTask, rows - begin);
    gather_signal(args, tiles, n, position + begin, count, workspace, ld);
    for (int64_t row = begin; row < begin + count; ++row) {
      const int64_t number = (args.first_sample + n) * tiles.positions + position + row;
      fisher_row(model, number, workspace + (row - begin) * ld, eps, q);
      visit(row, static_cast<const float*>(q));
    }
  }
}

// What a unit contributes: psi (m), denominators (groups), sqrt(r) (groups x ldw).
struct UnitSums {
  double* psi;
  double* denominator;
  float* weights;
  int64_t ldw;
};

// Row by row: for models that look at all outputs of a row, and where these are contiguous.
void unit_by_rows(const ConvStatisticsArgs& args, const ConvTiles& tiles, int64_t unit, const UnitWork& work,
                  const UnitSums& sums) {
  const LayerShape& shape = *args.shape;
  const int64_t m = shape.outputs, group_rows = m / shape.groups, rows = tiles.unit_rows(unit);
  float* const run = work.rows + kRowTask * signal_ld(shape) + 2 * padded(m); // psi over kRowTask rows
  for (int64_t i = 0; i < m; ++i) run[i] = 0;
  for_rows(args, tiles, unit, work.rows, [&](int64_t row, const float* q) {
    for (int64_t g = 0; g < shape.groups; ++g) {
      const float* const part = q + g * group_rows;
      const double r = row_sum(part, group_rows), c = work.c[g * rows + row];
      sums.denominator[g] += c * r;
      sums.weights[g * sums.ldw + row] = static_cast<float>(std::sqrt(r));
      const float weight = static_cast<float>(c);
      float* const to = run + g * group_rows;
#pragma omp simd
      for (int64_t i = 0; i < group_rows; ++i) to[i] += weight * part[i];
    }
    if (row % kRowTask != kRowTask - 1 && row != rows - 1) return;
#pragma omp simd
    for (int64_t i = 0; i < m; ++i) sums.psi[i] += run[i], run[i] = 0;
  });
}

// Channel by channel, for elementwise models: the signal of one channel is a run of positions, and nothing is
// transposed.
void unit_by_channels(const ConvStatisticsArgs& args, const ConvTiles& tiles, int64_t unit, const UnitWork& work,
                      const UnitSums& sums) {
  const LayerShape& shape = *args.shape;
  const FisherModel model(args);
  const int64_t group_rows = shape.outputs / shape.groups, rows = tiles.unit_rows(unit), n = unit / tiles.bands;
  const int64_t y0 = unit % tiles.bands * tiles.band_rows, stride = args.signal.stride[3];
  float *const q = work.q, *const r_run = work.r_float, *const c_run = work.c_float;
  for (int64_t g = 0; g < shape.groups; ++g) {
    const double* const c = work.c + g * rows;
    for (int64_t t = 0; t < rows; ++t) {
      c_run[t] = static_cast<float>(c[t]);
      r_run[t] = 0;
      work.r[t] = 0;
    }
    for (int64_t i = 0; i < group_rows; ++i) {
      for (int64_t t = 0; t < rows; t += tiles.out_width) {
        const caller_float* const from = at(args.signal, n, g * group_rows + i, y0 + t / tiles.out_width, 0);
        if (stride == 1) {
#pragma omp simd
          for (int64_t x = 0; x < tiles.out_width; ++x) q[t + x] = from[x];
        } else {
          for (int64_t x = 0; x < tiles.out_width; ++x) q[t + x] = from[x * stride];
        }
      }
      fisher_elements(model, rows, q, q);
      sums.psi[g * group_rows + i] = run_sum(rows, [c_run, q](int64_t t) { return c_run[t] * q[t]; });
#pragma omp simd
      for (int64_t t = 0; t < rows; ++t) r_run[t] += q[t];
      if (i % kFloatRun != kFloatRun - 1 && i != group_rows - 1) continue;
      for (int64_t t = 0; t < rows; ++t) {
        work.r[t] += r_run[t];
        r_run[t] = 0;
      }
    }
    double denominator = 0;
    for (int64_t t = 0; t < rows; ++t) {
      denominator += c[t] * work.r[t];
      sums.weights[g * sums.ldw + t] = static_cast<float>(std::sqrt(work.r[t]));
    }
    sums.denominator[g] = denominator;
  }
}

// The first phase of one unit.
void unit_statistics(CpuContext& context, const ConvStatisticsArgs& args, const ConvTiles& tiles,
                     const ConvChunk& chunk, int64_t slot, int32_t worker) {
  const LayerShape& shape = *args.shape;
  ConvWorkspace& w = context.conv;
  const int64_t unit = chunk.first + slot;
  const UnitWork work = unit_work(context, shape, tiles, worker);
  prepare_unit(context, args, tiles, unit, slot, work);
  const UnitSums sums{w.psi.data() + slot * shape.outputs, w.denominator.data() + slot * shape.groups,
                      w.weights.data() + (tiles.unit_first(unit) - chunk.first_row), padded(tiles.chunk_rows())};
  for (int64_t i = 0; i < shape.outputs; ++i) sums.psi[i] = 0;
  for (int64_t g = 0; g < shape.groups; ++g) sums.denominator[g] = 0;
  if (args.signal.stride[1] != 1 && elementwise(FisherModel(args)))
    unit_by_channels(args, tiles, unit, work, sums);
  else
    unit_by_rows(args, tiles, unit, work, sums);
}

} // namespace

void conv_statistics(Context& base, const ConvStatisticsArgs& args) {
  CpuContext& context = cpu(base);
  if (args.shape->embedding) return embedding_statistics(context, args);
  const LayerShape& shape = *args.shape;
  LayerRecord& record = *args.memory->record;
  ConvTiles tiles;
  if (!reserve_conv(context, shape, args.inputs, args.samples, ConvUse::kStatistics, tiles)) return;
  if (shape.second_matrix()) return paired_conv_statistics(context, args, tiles);
  const int64_t m = shape.outputs, units = args.samples * tiles.bands;
  const double row_work = 4.0 * static_cast<double>(shape.groups * shape.d) + 20.0 * static_cast<double>(m);
  const double syrk_work = static_cast<double>(shape.groups * shape.d * shape.blocks.block);
  const KernelScope scope(context, static_cast<double>(args.samples * tiles.positions) * (row_work + syrk_work) / 4);
  for (int64_t first = 0; first < units && !record.poisoned; first += tiles.units) {
    const ConvChunk chunk = chunk_of(tiles, args.samples, first);
    context.pool.parallel_for(
        chunk.count, static_cast<double>(chunk.rows) * row_work,
        [&](int64_t slot, int32_t worker) { unit_statistics(context, args, tiles, chunk, slot, worker); });
    // In the order of the units: the sums do not depend on who did what.
    bool sound = true;
    for (int64_t slot = 0; slot < chunk.count; ++slot) {
      const double* const psi = context.conv.psi.data() + slot * m;
      for (int64_t i = 0; i < m; ++i) args.memory->psi_sum[i] += psi[i];
      const double* const part = context.conv.denominator.data() + slot * shape.groups;
      for (int64_t g = 0; g < shape.groups; ++g) {
        args.memory->denominator[g] += part[g];
        sound = sound && args.memory->denominator[g] < kOverflow; // not NaN either
      }
    }
    if (!sound) {
      record.poisoned = 1;
      break;
    }
    add_patches(context, args, tiles, chunk, context.conv.weights.data());
  }
  record.samples += args.samples;
}

void conv_fisher_rows(Context& base, const ConvStatisticsArgs& args, const FisherRows& out) {
  CpuContext& context = cpu(base);
  if (args.shape->embedding) return embedding_fisher_rows(context, args, out);
  const LayerShape& shape = *args.shape;
  const int64_t m = shape.outputs, group_rows = m / shape.groups;
  ConvTiles tiles;
  if (!reserve_conv(context, shape, args.inputs, args.samples, ConvUse::kStatistics, tiles)) return;
  for (int64_t unit = 0; unit < args.samples * tiles.bands; ++unit) {
    const UnitWork work = unit_work(context, shape, tiles, 0);
    prepare_unit(context, args, tiles, unit, 0, work);
    const int64_t first = tiles.unit_first(unit);
    for_rows(args, tiles, unit, work.rows, [&](int64_t row, const float* q) {
      if (out.q)
        for (int64_t i = 0; i < m; ++i) out.q[(first + row) * m + i] = q[i];
      for (int64_t g = 0; g < shape.groups; ++g) {
        const int64_t to = (first + row) * shape.groups + g;
        if (out.r) out.r[to] = static_cast<float>(row_sum(q + g * group_rows, group_rows));
        if (out.c) out.c[to] = static_cast<float>(work.c[g * tiles.unit_rows(unit) + row]);
      }
    });
  }
}

} // namespace lngd::cpu::LNGD_ISA
