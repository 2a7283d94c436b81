// SPDX-License-Identifier: Apache-2.0
// layer_statistics: one observed batch into the sums of the coming update (paper eq. 3-5):
//
//   r_n = sum_i q_ni     c_n = ||a_n||^2     Phi += sum_n r_n a_n a_n^T     psi_i += sum_n c_n q_ni     denominator +=
//   sum_n c_n r_n
//
// Samples go by in panels. For each, the rows sqrt(r_n) a_n are packed while q, r, c and psi are taken from the same
// pass over the data, and then Phi += B^T B block by block. Weighting one factor by r and leaving the other alone (a
// GEMM) would do twice the work of the SYRK.
//
// NaN and Inf: c_n r_n bounds every element of r_n a_n a_n^T and of c_n q_n, so one look at the denominator tells about
// all of them. A batch that fails it poisons the update; running_average then drops it.
#include <cmath>

#include "backend/cpu/kernels/fisher_row.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

constexpr int64_t kTile = 256;     // rows of Phi in one task
constexpr double kOverflow = 1e37; // sums stay below this: float ends at 3.4e38

struct Panel {
  int64_t first; // sample
  int64_t rows;
};

// Rows [task * kRowTask, ...) of the panel: packed inputs, psi partial, denominator.
void pack_rows(CpuContext& context, const StatisticsArgs& args, const Panel& panel, int64_t task, int32_t worker) {
  const LayerShape& shape = *args.shape;
  const int64_t m = shape.outputs, ldb = padded(shape.d);
  float* const x = context.row[static_cast<size_t>(worker)].data();
  float* const eps = x + padded(m);
  float* const q = eps + padded(m);
  float* const psi = context.psi_partial.data() + task * padded(m);
  for (int64_t i = 0; i < m; ++i) psi[i] = 0;
  double denominator = 0;
  const int64_t end = std::min(panel.rows, (task + 1) * kRowTask);
  for (int64_t row = task * kRowTask; row < end; ++row) {
    const int64_t sample = panel.first + row;
    const double r = fisher_row(args, sample, x, eps, q);
    const double c = input_square(args, sample);
    denominator += c * r;
    const float weight = static_cast<float>(c);
#pragma omp simd
    for (int64_t i = 0; i < m; ++i) psi[i] += weight * q[i];
    const float scale = static_cast<float>(std::sqrt(r));
    float* const packed = context.panel.data() + row * ldb;
    const caller_float* const a = at(args.inputs, sample);
    const int64_t stride = args.inputs.cs;
    if (stride == 1) {
#pragma omp simd
      for (int64_t j = 0; j < shape.inputs; ++j) packed[j] = scale * a[j];
    } else {
      for (int64_t j = 0; j < shape.inputs; ++j) packed[j] = scale * a[j * stride];
    }
    if (shape.bias) packed[shape.inputs] = scale;
  }
  context.denominators[static_cast<size_t>(task)] = denominator;
}

// Phi += B^T B for rows [row0, row1) of the lower triangle of block k.
void syrk_tile(const CpuContext& context, const StatisticsArgs& args, int64_t rows, int64_t k, int64_t tile) {
  const BlockLayout& blocks = args.shape->blocks;
  const int n = static_cast<int>(rows), ldb = static_cast<int>(padded(args.shape->d));
  const int ld = static_cast<int>(blocks.ld(k));
  const int64_t row0 = tile * kTile, row1 = std::min(blocks.size(k), row0 + kTile);
  const int height = static_cast<int>(row1 - row0), left = static_cast<int>(row0);
  float* const phi = args.memory->phi_sum + blocks.offset(k) + row0 * ld;
  const float* const b = context.panel.data() + blocks.begin(k);
  if (left > 0)
    context.blas.sgemm(kRowMajor, kTrans, kNoTrans, height, left, n, 1.0f, b + row0, ldb, b, ldb, 1.0f, phi, ld);
  context.blas.ssyrk(kRowMajor, kLower, kTrans, height, n, 1.0f, b + row0, ldb, 1.0f, phi + row0, ld);
}

} // namespace

void layer_statistics(Context& base, const StatisticsArgs& args) {
  CpuContext& context = cpu(base);
  const LayerShape& shape = *args.shape;
  LayerRecord& record = *args.memory->record;
  double& denominator = *args.memory->denominator;
  const int64_t m = shape.outputs, step = panel_rows(shape.d);
  const double row_work = 4.0 * static_cast<double>(shape.d) + 20.0 * static_cast<double>(m);
  const double syrk_work = static_cast<double>(shape.d * shape.blocks.block);
  const KernelScope scope(context, static_cast<double>(args.samples) * (row_work + syrk_work) / 4);
  for (int64_t first = 0; first < args.samples && !record.poisoned; first += step) {
    const Panel panel{first, std::min(step, args.samples - first)};
    const int64_t tasks = (panel.rows + kRowTask - 1) / kRowTask;
    context.pool.parallel_for(tasks, static_cast<double>(panel.rows) * row_work,
                              [&](int64_t task, int32_t worker) { pack_rows(context, args, panel, task, worker); });
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
    const int64_t tiles = (shape.blocks.block + kTile - 1) / kTile, blocks = shape.blocks.count();
    context.pool.parallel_for(tiles * blocks, static_cast<double>(panel.rows) * syrk_work, [&](int64_t task, int32_t) {
      // The last rows of a triangle are the longest: they go first.
      const int64_t k = task % blocks, tile = tiles - 1 - task / blocks;
      if (tile * kTile < shape.blocks.size(k)) syrk_tile(context, args, panel.rows, k, tile);
    });
  }
  record.samples += args.samples;
}

void fisher_rows(Context& base, const StatisticsArgs& args, const FisherRows& out) {
  CpuContext& context = cpu(base);
  const int64_t m = args.shape->outputs;
  float* const x = context.row[0].data();
  float* const eps = x + padded(m);
  float* const q = eps + padded(m);
  for (int64_t row = 0; row < args.samples; ++row) {
    const double r = fisher_row(args, row, x, eps, q);
    if (out.q)
      for (int64_t i = 0; i < m; ++i) out.q[row * m + i] = q[i];
    if (out.r) out.r[row] = static_cast<float>(r);
    if (out.c) out.c[row] = static_cast<float>(input_square(args, row));
  }
}

} // namespace lngd::cpu::LNGD_ISA
