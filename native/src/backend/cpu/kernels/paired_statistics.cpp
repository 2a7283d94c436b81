// SPDX-License-Identifier: Apache-2.0
// Statistics of a layer whose second factor is a matrix (second_factor.h): panels of inputs and of gradients side by
// side, each through the SYRK of its own diagonal blocks. The rest, sums, samples, poison, is as in layer_statistics.
#include "backend/cpu/kernels/block_syrk.h"
#include "backend/cpu/kernels/conv_patches.h"
#include "backend/cpu/kernels/conv_rows.h"
#include "backend/cpu/kernels/fisher_row.h"
#include "backend/cpu/kernels/packed_syrk.h"
#include "backend/cpu/kernels/second_factor.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

// ||x||^2 of a row of the caller.
double row_square(const caller_float* x, int64_t stride, int64_t count) {
  return stride == 1 ? run_sum(count, [x](int64_t i) { return x[i] * x[i]; })
                     : run_sum(count, [x, stride](int64_t i) { return x[i * stride] * x[i * stride]; });
}

// Panels of both factors, packed by rows.
struct Pair {
  int64_t first; // sample
  PackedPanel inputs, signals;
};

RowTotals pack_rows(const StatisticsArgs& args, const Pair& pair, int64_t task) {
  const LayerShape& shape = *args.shape;
  RowTotals totals;
  const int64_t end = std::min(pair.inputs.rows, (task + 1) * kRowTask);
  for (int64_t row = task * kRowTask; row < end; ++row) {
    const int64_t sample = pair.first + row;
    const caller_float* const g = at(args.signal, sample);
    const double c = input_square(args, sample), r = row_square(g, args.signal.cs, shape.outputs);
    totals.add(c, r);
    const RowScales scales = row_scales(shape.approximation, c, r);
    pack_row(pair.inputs, shape.blocks, shape.inputs, row, scales.a, at(args.inputs, sample), args.inputs.cs);
    pack_row(pair.signals, shape.second, shape.outputs, row, scales.g, g, args.signal.cs);
  }
  return totals;
}

double factor_work(const LayerShape& shape) {
  return static_cast<double>(shape.groups * shape.d * shape.blocks.block + shape.outputs * shape.second.block);
}

} // namespace

void paired_statistics(CpuContext& context, const StatisticsArgs& args) {
  const LayerShape& shape = *args.shape;
  LayerRecord& record = *args.memory->record;
  const int64_t step = paired_rows(shape);
  const double row_work = 6.0 * static_cast<double>(shape.d + shape.outputs);
  const KernelScope scope(context, static_cast<double>(args.samples) * (row_work + factor_work(shape)) / 4);
  for (int64_t first = 0; first < args.samples && !record.poisoned; first += step) {
    const int64_t rows = std::min(step, args.samples - first), tasks = (rows + kRowTask - 1) / kRowTask;
    const Pair pair{first, {context.panel.data(), step, rows, 0}, {context.second_panel.data(), step, rows, 0}};
    double* const sums = context.denominators.data();
    context.pool.parallel_for(tasks, static_cast<double>(rows) * row_work, [&](int64_t task, int32_t) {
      const RowTotals totals = pack_rows(args, pair, task);
      sums[3 * task] = totals.product;
      sums[3 * task + 1] = totals.inputs;
      sums[3 * task + 2] = totals.signals;
    });
    // In the order of the tasks: the sums do not depend on who did what.
    bool sound = true;
    for (int64_t task = 0; task < tasks; ++task)
      sound = add_totals(shape, *args.memory, 0, {sums[3 * task], sums[3 * task + 1], sums[3 * task + 2]}) && sound;
    if (!sound) {
      record.poisoned = 1;
      break;
    }
    add_packed(context, shape.blocks, 0, shape.blocks.count(), pair.inputs, args.memory->phi_sum);
    add_packed(context, shape.second, 0, shape.second.count(), pair.signals, args.memory->second_sum);
    if (shape.eigenbasis() && record.has_inverse) add_scales(context, args, first, rows);
  }
  args.memory->totals[2 * shape.groups] += static_cast<double>(args.samples);
  record.samples += args.samples;
}

namespace {

// The rows of one unit: c, r and the scales of both factors.
void unit_rows(CpuContext& context, const ConvStatisticsArgs& args, const ConvTiles& tiles, const ConvChunk& chunk,
               int64_t slot, int32_t worker) {
  const LayerShape& shape = *args.shape;
  const int64_t unit = chunk.first + slot, rows = tiles.unit_rows(unit), n = unit / tiles.bands;
  const int64_t group_rows = shape.outputs / shape.groups, ld = signal_ld(shape), ldw = padded(tiles.chunk_rows());
  const int64_t position = tiles.unit_first(unit) - n * tiles.positions;
  const UnitWork work = unit_work(context, shape, tiles, worker);
  prepare_unit(context, args, tiles, unit, slot, work);
  float* const a_scales = context.conv.weights.data() + (tiles.unit_first(unit) - chunk.first_row);
  float* const g_scales = a_scales + shape.groups * ldw;
  double* const sums = context.conv.denominator.data() + 3 * slot * shape.groups;
  for (int64_t i = 0; i < 3 * shape.groups; ++i) sums[i] = 0;
  for (int64_t begin = 0; begin < rows; begin += kRowTask) {
    const int64_t count = std::min(kRowTask, rows - begin);
    gather_signal(args, tiles, n, position + begin, count, work.rows, ld);
    for (int64_t g = 0; g < shape.groups; ++g) {
      RowTotals totals;
      for (int64_t row = 0; row < count; ++row) {
        const float* const x = work.rows + row * ld + g * group_rows;
        const double c = work.c[g * rows + begin + row];
        const double r = run_sum(group_rows, [x](int64_t i) { return x[i] * x[i]; });
        totals.add(c, r);
        const RowScales scales = row_scales(shape.approximation, c, r);
        a_scales[g * ldw + begin + row] = scales.a;
        g_scales[g * ldw + begin + row] = scales.g;
      }
      sums[3 * g] += totals.product;
      sums[3 * g + 1] += totals.inputs;
      sums[3 * g + 2] += totals.signals;
    }
  }
}

// second_sum += the rows of the signal of a chunk, panel by panel.
void add_signals(CpuContext& context, const ConvStatisticsArgs& args, const ConvTiles& tiles, const ConvChunk& chunk) {
  const LayerShape& shape = *args.shape;
  const int64_t m = shape.outputs, ld = padded(m), step = second_rows(m), group_rows = m / shape.groups;
  const int64_t ldw = padded(tiles.chunk_rows());
  const float* const scales = context.conv.weights.data() + shape.groups * ldw;
  for (int64_t first = 0; first < chunk.rows; first += step) {
    const int64_t rows = std::min(step, chunk.rows - first);
    const int64_t tasks = (rows + kRowTask - 1) / kRowTask;
    context.pool.parallel_for(tasks, 4.0 * static_cast<double>(rows * m), [&](int64_t task, int32_t) {
      const int64_t end = std::min(rows, (task + 1) * kRowTask);
      for (int64_t row = task * kRowTask; row < end;) { // the rows of one sample at a time
        const int64_t number = chunk.first_row + first + row, n = number / tiles.positions;
        const int64_t count = std::min(end - row, (n + 1) * tiles.positions - number);
        float* const to = context.second_panel.data() + row * ld;
        gather_signal(args, tiles, n, number - n * tiles.positions, count, to, ld);
        for (int64_t k = 0; k < count && shape.approximation == LNGD_APPROXIMATION_TKFAC; ++k)
          for (int64_t g = 0; g < shape.groups; ++g) {
            const float scale = scales[g * ldw + first + row + k];
            float* const part = to + k * ld + g * group_rows;
#pragma omp simd
            for (int64_t i = 0; i < group_rows; ++i) part[i] *= scale;
          }
        row += count;
      }
    });
    const SignalPanel panel{context.second_panel.data(), ld, rows};
    add_panel(context, shape.second, 0, shape.second.count(), panel, args.memory->second_sum);
  }
}

} // namespace

void paired_conv_statistics(CpuContext& context, const ConvStatisticsArgs& args, const ConvTiles& tiles) {
  const LayerShape& shape = *args.shape;
  LayerRecord& record = *args.memory->record;
  const int64_t units = args.samples * tiles.bands;
  const double row_work = 4.0 * static_cast<double>(shape.groups * shape.d + 2 * shape.outputs);
  const KernelScope scope(context,
                          static_cast<double>(args.samples * tiles.positions) * (row_work + factor_work(shape)) / 4);
  for (int64_t first = 0; first < units && !record.poisoned; first += tiles.units) {
    const ConvChunk chunk = chunk_of(tiles, args.samples, first);
    context.pool.parallel_for(
        chunk.count, static_cast<double>(chunk.rows) * row_work,
        [&](int64_t slot, int32_t worker) { unit_rows(context, args, tiles, chunk, slot, worker); });
    bool sound = true;
    for (int64_t slot = 0; slot < chunk.count; ++slot)
      for (int64_t g = 0; g < shape.groups; ++g) {
        const double* const sums = context.conv.denominator.data() + 3 * (slot * shape.groups + g);
        // (sum_t g a)^2 <= T sum_t c r, and this is what EKFAC's squares have to stay below.
        const double product = shape.eigenbasis() ? sums[0] * static_cast<double>(tiles.positions) : sums[0];
        sound = add_totals(shape, *args.memory, g, {product, sums[1], sums[2]}) && sound;
      }
    if (!sound) {
      record.poisoned = 1;
      break;
    }
    const bool weighted = shape.approximation == LNGD_APPROXIMATION_TKFAC;
    add_patches(context, args, tiles, chunk, weighted ? context.conv.weights.data() : nullptr);
    add_signals(context, args, tiles, chunk);
    if (shape.eigenbasis() && record.has_inverse) add_conv_scales(context, args, tiles, chunk);
  }
  args.memory->totals[2 * shape.groups] += static_cast<double>(args.samples * tiles.positions);
  record.samples += args.samples;
}

} // namespace lngd::cpu::LNGD_ISA
