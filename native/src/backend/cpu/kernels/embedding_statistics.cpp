// SPDX-License-Identifier: Apache-2.0
// layer_statistics of an embedding, whose a_nt is the one-hot code of an index k_nt (spec section 2):
//
//   r_nt = sum_i q_nti   Phi_kk += sum over (n, t) with k_nt = k of r_nt   psi_i += sum_nt c q_nti   c = 1 (+ 1)
//   denominator += sum_nt c r_nt
//
// Phi is diagonal and kept as a vector. With a bias the augmented input is one-hot plus a constant 1: its Phi_bb =
// sum_nt r_nt is kept as a diagonal entry too, and the cross terms Phi_kb, which a dense layer would have, are dropped.
//
// Where the second factor is a matrix (second_factor.h), A or Phi is that diagonal too, with r = 1 for KFAC, and the
// rows of the given gradients go through the SYRK of its blocks.
//
// The rows go by in panels, their q, r and psi by tasks on all threads, as in layer_statistics; the additions to Phi,
// one a row, are then made by one thread in the order of the rows, so that the bits do not depend on who did what.
#include "backend/cpu/kernels/conv_images.h"
#include "backend/cpu/kernels/embedding.h"
#include "backend/cpu/kernels/fisher_row.h"
#include "backend/cpu/kernels/packed_syrk.h"
#include "backend/cpu/kernels/second_factor.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

// The signal of one row of the batch.
const caller_float* signal_row(const ConvStatisticsArgs& args, int64_t row) {
  const int64_t positions = args.inputs.width, n = row / positions, t = row % positions;
  return at(args.signal, n, 0, 0, t);
}

// q of one row of the batch; x and eps: workspaces of m.
void row_squares(const FisherModel& model, const ConvStatisticsArgs& args, int64_t row, float* x, float* eps,
                 float* q) {
  const caller_float* const from = signal_row(args, row);
  const Strided view{reinterpret_cast<float*>(const_cast<caller_float*>(from)), 0, args.signal.stride[1]};
  gather(view, 0, args.shape->outputs, x);
  fisher_row(model, args.first_sample * args.inputs.width + row, x, eps, q);
}

double input_square(const LayerShape& shape) { return shape.bias ? 2.0 : 1.0; }

// Phi += weight(row) at the index of each of `rows` rows from `first` on, counted in the batch. False where an index is
// none.
template <typename Weight>
bool add_indices(const ConvStatisticsArgs& args, int64_t first, int64_t rows, Weight weight) {
  const LayerShape& shape = *args.shape;
  const int64_t positions = args.inputs.width;
  double* const phi = args.memory->phi_diagonal_sum;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t k = embedding_index(args.inputs, (first + row) / positions, (first + row) % positions, shape.inputs);
    if (k < 0) return false;
    phi[k] += weight(row);
    if (shape.bias) phi[shape.inputs] += weight(row);
  }
  return true;
}

// Rows of a panel of the second factor, and r of each.
RowTotals pack_signals(const ConvStatisticsArgs& args, int64_t first, const PackedPanel& panel, int64_t task,
                       float* r) {
  const LayerShape& shape = *args.shape;
  const int64_t stride = args.signal.stride[1], m = shape.outputs;
  const double c = input_square(shape);
  RowTotals totals;
  for (int64_t row = task * kRowTask; row < std::min(panel.rows, (task + 1) * kRowTask); ++row) {
    const caller_float* const g = signal_row(args, first + row);
    const double square = run_sum(m, [g, stride](int64_t i) { return g[i * stride] * g[i * stride]; });
    totals.add(c, square);
    r[row] = static_cast<float>(square);
    pack_row(panel, shape.second, m, row, row_scales(shape.approximation, c, square).g, g, stride);
  }
  return totals;
}

void paired_embedding_statistics(CpuContext& context, const ConvStatisticsArgs& args) {
  const LayerShape& shape = *args.shape;
  LayerRecord& record = *args.memory->record;
  const int64_t all = args.samples * args.inputs.width, step = paired_rows(shape);
  const double row_work = 6.0 * static_cast<double>(shape.outputs);
  const double factor_work = static_cast<double>(shape.outputs * shape.second.block);
  const KernelScope scope(context, static_cast<double>(all) * (row_work + factor_work) / 4);
  const bool weighted = shape.approximation == LNGD_APPROXIMATION_TKFAC;
  float* const r = context.panel.data();
  for (int64_t first = 0; first < all && !record.poisoned; first += step) {
    const int64_t rows = std::min(step, all - first), tasks = (rows + kRowTask - 1) / kRowTask;
    const PackedPanel panel{context.second_panel.data(), step, rows, 0};
    double* const sums = context.denominators.data();
    context.pool.parallel_for(tasks, static_cast<double>(rows) * row_work, [&](int64_t task, int32_t) {
      const RowTotals totals = pack_signals(args, first, panel, task, r);
      sums[3 * task] = totals.product;
      sums[3 * task + 1] = totals.inputs;
      sums[3 * task + 2] = totals.signals;
    });
    bool sound = true;
    for (int64_t task = 0; task < tasks; ++task)
      sound = add_totals(shape, *args.memory, 0, {sums[3 * task], sums[3 * task + 1], sums[3 * task + 2]}) && sound;
    if (!sound || !add_indices(args, first, rows, [&](int64_t row) { return weighted ? r[row] : 1.0f; })) {
      record.poisoned = 1;
      break;
    }
    add_packed(context, shape.second, 0, shape.second.count(), panel, args.memory->second_sum);
  }
  args.memory->totals[2 * shape.groups] += static_cast<double>(all);
  record.samples += args.samples;
}

} // namespace

void embedding_statistics(CpuContext& context, const ConvStatisticsArgs& args) {
  const LayerShape& shape = *args.shape;
  if (shape.second_matrix()) return paired_embedding_statistics(context, args);
  LayerRecord& record = *args.memory->record;
  const FisherModel model(args);
  const int64_t m = shape.outputs, all = args.samples * args.inputs.width;
  const double c = input_square(shape), row_work = 20.0 * static_cast<double>(m);
  const KernelScope scope(context, static_cast<double>(all) * row_work / 4);
  float* const r = context.panel.data();
  for (int64_t first = 0; first < all && !record.poisoned; first += kPanelRows) {
    const int64_t rows = std::min(kPanelRows, all - first), tasks = (rows + kRowTask - 1) / kRowTask;
    context.pool.parallel_for(tasks, static_cast<double>(rows) * row_work, [&](int64_t task, int32_t worker) {
      float* const x = context.row[static_cast<size_t>(worker)].data();
      float* const q = x + 2 * padded(m);
      float* const psi = context.psi_partial.data() + task * padded(m);
      for (int64_t i = 0; i < m; ++i) psi[i] = 0;
      double sum = 0;
      for (int64_t row = task * kRowTask; row < std::min(rows, (task + 1) * kRowTask); ++row) {
        row_squares(model, args, first + row, x, x + padded(m), q);
        const double all_outputs = row_sum(q, m);
        r[row] = static_cast<float>(all_outputs);
        sum += all_outputs;
#pragma omp simd
        for (int64_t i = 0; i < m; ++i) psi[i] += q[i];
      }
      context.denominators[static_cast<size_t>(task)] = c * sum;
    });
    for (int64_t task = 0; task < tasks; ++task) {
      *args.memory->denominator += context.denominators[static_cast<size_t>(task)];
      const float* const psi = context.psi_partial.data() + task * padded(m);
      double* const sum = args.memory->psi_sum;
      for (int64_t i = 0; i < m; ++i) sum[i] += c * psi[i];
    }
    const bool sound = *args.memory->denominator < kOverflow; // not NaN either
    if (!sound || !add_indices(args, first, rows, [&](int64_t row) { return r[row]; })) record.poisoned = 1;
  }
  record.samples += args.samples;
}

void embedding_fisher_rows(CpuContext& context, const ConvStatisticsArgs& args, const FisherRows& out) {
  const LayerShape& shape = *args.shape;
  const FisherModel model(args);
  const int64_t m = shape.outputs, positions = args.inputs.width;
  float* const x = context.row[0].data();
  float* const q = x + 2 * padded(m);
  for (int64_t row = 0; row < args.samples * positions; ++row) {
    row_squares(model, args, row, x, x + padded(m), q);
    const bool index = embedding_index(args.inputs, row / positions, row % positions, shape.inputs) >= 0;
    if (out.q)
      for (int64_t i = 0; i < m; ++i) out.q[row * m + i] = q[i];
    if (out.r) out.r[row] = static_cast<float>(row_sum(q, m));
    if (out.c) out.c[row] = index ? static_cast<float>(input_square(shape)) : __builtin_nanf("");
  }
}

} // namespace lngd::cpu::LNGD_ISA
