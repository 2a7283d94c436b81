// SPDX-License-Identifier: Apache-2.0
// layer_statistics of an embedding, whose a_nt is the one-hot code of an index k_nt (spec section 2):
//
//   r_nt = sum_i q_nti   Phi_kk += sum over (n, t) with k_nt = k of r_nt   psi_i += sum_nt c q_nti   c = 1 (+ 1)
//   denominator += sum_nt c r_nt
//
// Phi is diagonal and kept as a vector. With a bias the augmented input is one-hot plus a constant 1: its Phi_bb =
// sum_nt r_nt is kept as a diagonal entry too, and the cross terms Phi_kb, which a dense layer would have, are dropped.
//
// The rows go by in panels, their q, r and psi by tasks on all threads, as in layer_statistics; the additions to Phi,
// one a row, are then made by one thread in the order of the rows, so that the bits do not depend on who did what.
#include "backend/cpu/kernels/conv_images.h"
#include "backend/cpu/kernels/embedding.h"
#include "backend/cpu/kernels/fisher_row.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

// q of one row of the batch; x and eps: workspaces of m.
void row_squares(const FisherModel& model, const ConvStatisticsArgs& args, int64_t row, float* x, float* eps,
                 float* q) {
  const int64_t positions = args.inputs.width, n = row / positions, t = row % positions;
  const caller_float* const from = at(args.signal, n, 0, 0, t);
  const Strided view{reinterpret_cast<float*>(const_cast<caller_float*>(from)), 0, args.signal.stride[1]};
  gather(view, 0, args.shape->outputs, x);
  fisher_row(model, args.first_sample * positions + row, x, eps, q);
}

double input_square(const LayerShape& shape) { return shape.bias ? 2.0 : 1.0; }

} // namespace

void embedding_statistics(CpuContext& context, const ConvStatisticsArgs& args) {
  const LayerShape& shape = *args.shape;
  LayerRecord& record = *args.memory->record;
  const FisherModel model(args);
  const int64_t m = shape.outputs, positions = args.inputs.width, all = args.samples * positions;
  const double c = input_square(shape), row_work = 20.0 * static_cast<double>(m);
  const KernelScope scope(context, static_cast<double>(all) * row_work / 4);
  float* const r = context.panel.data();
  double* const phi = args.memory->phi_diagonal_sum;
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
    bool sound = *args.memory->denominator < kOverflow; // not NaN either
    for (int64_t row = 0; row < rows && sound; ++row) {
      const int64_t k =
          embedding_index(args.inputs, (first + row) / positions, (first + row) % positions, shape.inputs);
      sound = k >= 0;
      if (!sound) break;
      phi[k] += r[row];
      if (shape.bias) phi[shape.inputs] += r[row];
    }
    if (!sound) record.poisoned = 1;
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
