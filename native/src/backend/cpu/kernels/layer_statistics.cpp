// SPDX-License-Identifier: Apache-2.0
// layer_statistics: one observed batch into the sums of the coming update (paper eq. 3-5):
//
//   r_n = sum_i q_ni     c_n = ||a_n||^2     Phi += sum_n r_n a_n a_n^T     psi_i += sum_n c_n q_ni     denominator +=
//   sum_n c_n r_n
//
// Samples go by in panels. For each, q, r, c and psi are taken row by row, the rows sqrt(r_n) a_n are packed, and then
// Phi += B^T B block by block (packed_syrk.h). A full Phi is packed in the same pass over the rows, by all threads;
// where there are blocks for every thread, each packs the blocks that it multiplies (block_a_thread).
//
// NaN and Inf: c_n r_n bounds every element of r_n a_n a_n^T and of c_n q_n, so one look at the denominator tells about
// all of them. A batch that fails it poisons the update; running_average then drops it.
#include <cmath>

#include "backend/cpu/kernels/fisher_row.h"
#include "backend/cpu/kernels/packed_syrk.h"
#include "backend/cpu/kernels/second_factor.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

struct Panel {
  int64_t first; // sample
  PackedPanel packed;
  bool by_block; // packed by who multiplies
};

// Rows [task * kRowTask, ...) of the panel: weights, psi partial, denominator; packed inputs unless by blocks.
void panel_statistics(CpuContext& context, const StatisticsArgs& args, const Panel& panel, int64_t task,
                      int32_t worker) {
  const LayerShape& shape = *args.shape;
  const FisherModel model(args);
  const int64_t m = shape.outputs;
  float* const x = context.row[static_cast<size_t>(worker)].data();
  float* const eps = x + padded(m);
  float* const q = eps + padded(m);
  float* const psi = context.psi_partial.data() + task * padded(m);
  for (int64_t i = 0; i < m; ++i) psi[i] = 0;
  double denominator = 0;
  const int64_t end = std::min(panel.packed.rows, (task + 1) * kRowTask);
  for (int64_t row = task * kRowTask; row < end; ++row) {
    const int64_t sample = panel.first + row;
    gather(args.signal, sample, m, x);
    fisher_row(model, args.first_sample + sample, x, eps, q);
    const double r = row_sum(q, m);
    const double c = input_square(args, sample);
    denominator += c * r;
    const float weight = static_cast<float>(c);
#pragma omp simd
    for (int64_t i = 0; i < m; ++i) psi[i] += weight * q[i];
    const float root = static_cast<float>(std::sqrt(r));
    if (panel.by_block)
      context.weights[static_cast<size_t>(row)] = root;
    else
      pack_row(panel.packed, shape.blocks, shape.inputs, row, root, at(args.inputs, sample), args.inputs.cs);
  }
  context.denominators[static_cast<size_t>(task)] = denominator;
}

// Phi += the panel, each block packed and multiplied by one thread.
void add_blocks(CpuContext& context, const StatisticsArgs& args, const Panel& panel) {
  const BlockLayout& blocks = args.shape->blocks;
  const int64_t rows = panel.packed.rows;
  const double work = static_cast<double>(rows) * static_cast<double>(blocks.count() * blocks.block * blocks.block);
  context.pool.parallel_for(blocks.count(), work, [&](int64_t k, int32_t worker) {
    const PackedPanel own = own_panel(context, blocks, k, panel.packed.capacity, rows, worker);
    for (int64_t row = 0; row < rows; ++row)
      pack_block_row(own, blocks, k, args.shape->inputs, row, context.weights[static_cast<size_t>(row)],
                     at(args.inputs, panel.first + row), args.inputs.cs);
    add_block(blocks, k, own, args.memory->phi_sum);
  });
}

} // namespace

void layer_statistics(Context& base, const StatisticsArgs& args) {
  CpuContext& context = cpu(base);
  const LayerShape& shape = *args.shape;
  if (shape.second_matrix()) return paired_statistics(context, args);
  LayerRecord& record = *args.memory->record;
  double& denominator = *args.memory->denominator;
  const int64_t m = shape.outputs, step = panel_rows(shape.d);
  const double row_work = 4.0 * static_cast<double>(shape.d) + 20.0 * static_cast<double>(m);
  const double syrk_work = static_cast<double>(shape.d * shape.blocks.block);
  const KernelScope scope(context, static_cast<double>(args.samples) * (row_work + syrk_work) / 4);
  for (int64_t first = 0; first < args.samples && !record.poisoned; first += step) {
    const int64_t rows = std::min(step, args.samples - first);
    const Panel panel{
        first, {context.panel.data(), step, rows, 0}, block_a_thread(shape.blocks, context.pool.threads())};
    const int64_t tasks = (rows + kRowTask - 1) / kRowTask;
    context.pool.parallel_for(tasks, static_cast<double>(rows) * row_work, [&](int64_t task, int32_t worker) {
      panel_statistics(context, args, panel, task, worker);
    });
    // In the order of the tasks: the sum does not depend on who did what.
    for (int64_t task = 0; task < tasks; ++task) {
      denominator += context.denominators[static_cast<size_t>(task)];
      const float* const psi = context.psi_partial.data() + task * padded(m);
      double* const sum = args.memory->psi_sum;
#pragma omp simd
      for (int64_t i = 0; i < m; ++i) sum[i] += psi[i];
    }
    if (!(denominator < kOverflow)) { // NaN too
      record.poisoned = 1;
      break;
    }
    if (panel.by_block)
      add_blocks(context, args, panel);
    else
      add_packed(context, shape.blocks, 0, shape.blocks.count(), panel.packed, args.memory->phi_sum);
  }
  record.samples += args.samples;
}

void fisher_rows(Context& base, const StatisticsArgs& args, const FisherRows& out) {
  CpuContext& context = cpu(base);
  const FisherModel model(args);
  const int64_t m = args.shape->outputs;
  float* const x = context.row[0].data();
  float* const eps = x + padded(m);
  float* const q = eps + padded(m);
  for (int64_t row = 0; row < args.samples; ++row) {
    gather(args.signal, row, m, x);
    fisher_row(model, args.first_sample + row, x, eps, q);
    if (out.q)
      for (int64_t i = 0; i < m; ++i) out.q[row * m + i] = q[i];
    if (out.r) out.r[row] = static_cast<float>(row_sum(q, m));
    if (out.c) out.c[row] = static_cast<float>(input_square(args, row));
  }
}

} // namespace lngd::cpu::LNGD_ISA
