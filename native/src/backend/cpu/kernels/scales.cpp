// SPDX-License-Identifier: Apache-2.0
// EKFAC's diagonal: S_ij = running average of (U_B^T grad_n U_A)_ij^2 over samples (George et al., NeurIPS 2018). V_A
// and V_B hold the eigenvectors as rows, so grad_n goes to V_B grad_n V_A^T.
//
//   dense         grad_n = g_n a_n^T: the squares of V_B g_n and V_A a_n, and one GEMM over the samples of a panel
//   convolution   grad_n = sum_t g_nt a_nt^T, made sample after sample, projected and squared
//
// After a new basis S starts from the products of the eigenvalues; the squares of an update are those in the basis that
// was in use when it was observed.
#include "backend/cpu/kernels/conv_rows.h"
#include "backend/cpu/kernels/fisher_row.h"
#include "backend/cpu/kernels/second_factor.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

constexpr int64_t kScaleRows = 64; // of S in one task

// out (rows x ldo) = x V^T, block by block.
void project(const Blas& blas, const BlockLayout& blocks, int64_t group, const float* vectors, const float* x,
             int64_t rows, int64_t ld, float* out) {
  for (int64_t k = group * blocks.group_blocks(); k < (group + 1) * blocks.group_blocks(); ++k) {
    const int n = static_cast<int>(blocks.size(k));
    blas.sgemm(kRowMajor, kNoTrans, kTrans, static_cast<int>(rows), n, n, 1.0f, x + blocks.begin(k),
               static_cast<int>(ld), vectors + blocks.offset(k), static_cast<int>(blocks.ld(k)), 0.0f,
               out + blocks.begin(k), static_cast<int>(ld));
  }
}

void square(float* x, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) x[i] *= x[i];
}

// lambda of D = ... / (S + lambda), the same for all of the layer.
void set_lambda(const StepLayer& layer, const lngd_config& config) {
  const LayerShape& shape = *layer.shape;
  double sum = 0;
  for (int64_t i = 0; i < shape.outputs; ++i) {
    const float* const row = layer.memory->scales + i * shape.ldw;
    for (int64_t j = 0; j < shape.d; ++j) sum += row[j];
  }
  const double mean = sum / static_cast<double>(shape.outputs * shape.d);
  double lambda = std::max(config.damping_factor, config.damping_floor);
  if (config.damping == LNGD_DAMPING_RELATIVE) lambda = std::max(config.damping_factor * mean, config.damping_floor);
  if (config.damping == LNGD_DAMPING_ABSOLUTE)
    lambda = std::min(std::max(mean, config.damping_min), config.damping_max);
  for (int64_t k = 0; k < shape.blocks.count(); ++k) layer.memory->lambda_phi[k] = lambda;
  for (int64_t g = 0; g < shape.groups; ++g) layer.memory->lambda_second[g] = lambda;
  layer.memory->record->lambda_psi = lambda;
}

} // namespace

void add_scales(CpuContext& context, const StatisticsArgs& args, int64_t first, int64_t rows) {
  const LayerShape& shape = *args.shape;
  const LayerMemory& memory = *args.memory;
  const int64_t m = shape.outputs, lda = shape.ldw, ldg = padded(m), capacity = paired_rows(shape);
  float* const a = context.projection.data();
  float* const pa = a + capacity * lda;
  float* const g = pa + capacity * lda;
  float* const pg = g + capacity * ldg;
  const double work = 2.0 * static_cast<double>(rows * (shape.d * shape.blocks.block + m * m));
  context.pool.parallel_for((rows + kRowTask - 1) / kRowTask, work, [&](int64_t task, int32_t) {
    const int64_t begin = task * kRowTask, count = std::min(kRowTask, rows - begin);
    for (int64_t row = begin; row < begin + count; ++row) {
      gather(args.inputs, first + row, shape.inputs, a + row * lda);
      if (shape.bias) a[row * lda + shape.inputs] = 1.0f;
      gather(args.signal, first + row, m, g + row * ldg);
    }
    project(context.blas, shape.blocks, 0, memory.phi_inverse, a + begin * lda, count, lda, pa + begin * lda);
    project(context.blas, shape.second, 0, memory.second_inverse, g + begin * ldg, count, ldg, pg + begin * ldg);
    for (int64_t row = begin; row < begin + count; ++row) {
      square(pa + row * lda, shape.d);
      square(pg + row * ldg, m);
    }
  });
  context.pool.parallel_for(
      (m + kScaleRows - 1) / kScaleRows, 2.0 * static_cast<double>(rows * m * shape.d), [&](int64_t task, int32_t) {
        const int64_t row0 = task * kScaleRows, count = std::min(kScaleRows, m - row0);
        context.blas.sgemm(kRowMajor, kTrans, kNoTrans, static_cast<int>(count), static_cast<int>(shape.d),
                           static_cast<int>(rows), 1.0f, pg + row0, static_cast<int>(ldg), pa, static_cast<int>(lda),
                           1.0f, memory.scales_sum + row0 * lda, static_cast<int>(lda));
      });
}

namespace {

// gradient (m x ldw) += sum over `count` positions of sample n from `first` on; row: of the chunk.
void add_positions(CpuContext& context, const ConvStatisticsArgs& args, const ConvTiles& tiles, const ConvChunk& chunk,
                   int64_t row, int64_t count, float* gradient) {
  const LayerShape& shape = *args.shape;
  const int64_t ldg = padded(shape.outputs), group_rows = shape.outputs / shape.groups;
  const int64_t number = chunk.first_row + row, n = number / tiles.positions;
  float* const signal = context.second_panel.data();
  gather_signal(args, tiles, n, number - n * tiles.positions, count, signal, ldg);
  const ConvImage image = image_of(context, shape, args.inputs, tiles, chunk.first, 0, chunk.first / tiles.bands);
  const int64_t runs = make_runs(context, shape, args.inputs, tiles, chunk, row, row + count, true,
                                 context.conv.runs.data(), [](int64_t k) { return k; });
  const PanelSource source{tiles, image.channel, image.row, image.phase, context.conv.runs.data(), runs,
                           count, nullptr,       0};
  for (int64_t g = 0; g < shape.groups; ++g)
    for (int64_t j0 = 0; j0 < shape.d; j0 += tiles.strip_rows) {
      const int64_t j1 = std::min(shape.d, j0 + tiles.strip_rows);
      fill_panel(context, shape, source, g * shape.d + j0, g * shape.d + j1);
      const int64_t tasks = (group_rows + kScaleRows - 1) / kScaleRows;
      context.pool.parallel_for(
          tasks, 2.0 * static_cast<double>(count * group_rows * (j1 - j0)), [&](int64_t task, int32_t) {
            const int64_t row0 = task * kScaleRows, rows = std::min(kScaleRows, group_rows - row0);
            const int64_t top = g * group_rows + row0;
            context.blas.sgemm(kRowMajor, kTrans, kTrans, static_cast<int>(rows), static_cast<int>(j1 - j0),
                               static_cast<int>(count), 1.0f, signal + top, static_cast<int>(ldg), context.panel.data(),
                               static_cast<int>(tiles.panel_ld()), 1.0f, gradient + top * shape.ldw + j0,
                               static_cast<int>(shape.ldw));
          });
    }
}

// scales_sum += (V_B gradient V_A^T)^2; the gradient is zero afterwards.
void add_sample(CpuContext& context, const ConvStatisticsArgs& args, float* gradient) {
  const LayerShape& shape = *args.shape;
  const int64_t group_rows = shape.outputs / shape.groups, ld = shape.ldw;
  float* const rows = gradient + shape.outputs * ld;
  float* const both = rows + shape.outputs * ld;
  const int64_t per_group = (group_rows + kScaleRows - 1) / kScaleRows;
  const double size = static_cast<double>(shape.outputs * shape.d);
  context.pool.parallel_for(
      shape.groups * per_group, 2 * size * static_cast<double>(shape.blocks.block), [&](int64_t task, int32_t) {
        const int64_t g = task / per_group, row0 = task % per_group * kScaleRows, top = g * group_rows + row0;
        const int64_t count = std::min(kScaleRows, group_rows - row0);
        project(context.blas, shape.blocks, g, args.memory->phi_inverse, gradient + top * ld, count, ld,
                rows + top * ld);
      });
  context.pool.parallel_for(
      shape.groups * per_group, 2 * size * static_cast<double>(group_rows), [&](int64_t task, int32_t) {
        const int64_t g = task / per_group, row0 = task % per_group * kScaleRows, top = g * group_rows + row0;
        const int64_t count = std::min(kScaleRows, group_rows - row0), ldv = shape.second.ld(g);
        context.blas.sgemm(kRowMajor, kNoTrans, kNoTrans, static_cast<int>(count), static_cast<int>(shape.d),
                           static_cast<int>(group_rows), 1.0f,
                           args.memory->second_inverse + shape.second.offset(g) + row0 * ldv, static_cast<int>(ldv),
                           rows + g * group_rows * ld, static_cast<int>(ld), 0.0f, both + top * ld,
                           static_cast<int>(ld));
        for (int64_t i = top; i < top + count; ++i) {
          const float* const z = both + i * ld;
          float* const sum = args.memory->scales_sum + i * ld;
          float* const old = gradient + i * ld;
#pragma omp simd
          for (int64_t j = 0; j < shape.d; ++j) sum[j] += z[j] * z[j], old[j] = 0;
        }
      });
}

} // namespace

void add_conv_scales(CpuContext& context, const ConvStatisticsArgs& args, const ConvTiles& tiles,
                     const ConvChunk& chunk) {
  const LayerShape& shape = *args.shape;
  float* const gradient = context.projection.data();
  const int64_t step = std::min(tiles.panel_rows, second_rows(shape.outputs));
  for (int64_t row = 0; row < chunk.rows;) { // a sample may go on in the next chunk
    const int64_t number = chunk.first_row + row, within = number % tiles.positions;
    if (within == 0) std::fill(gradient, gradient + shape.outputs * shape.ldw, 0.0f);
    const int64_t count = std::min({step, chunk.rows - row, tiles.positions - within});
    add_positions(context, args, tiles, chunk, row, count, gradient);
    if (within + count == tiles.positions) add_sample(context, args, gradient);
    row += count;
  }
}

void average_scales(const StepLayer& layer, const lngd_config& config, double keep, bool accept, double samples) {
  const LayerShape& shape = *layer.shape;
  const bool take = accept && layer.memory->record->has_inverse;
  const float old = static_cast<float>(keep), fresh = take ? static_cast<float>((1.0 - keep) / samples) : 0.0f;
  for (int64_t i = 0; i < shape.outputs; ++i) {
    float* const sum = layer.memory->scales_sum + i * shape.ldw;
    float* const scales = layer.memory->scales + i * shape.ldw;
    if (take && layer.memory->denominator[i / (shape.outputs / shape.groups)] > 0) {
#pragma omp simd
      for (int64_t j = 0; j < shape.d; ++j) scales[j] = old * scales[j] + fresh * sum[j];
    }
    for (int64_t j = 0; j < shape.d; ++j) sum[j] = 0;
  }
  if (take) set_lambda(layer, config);
}

void restart_scales(const StepLayer& layer, const lngd_config& config) {
  const LayerShape& shape = *layer.shape;
  const int64_t group_rows = shape.outputs / shape.groups;
  const float* const a = layer.memory->basis_values;
  const float* const b = a + shape.groups * shape.d;
  for (int64_t i = 0; i < shape.outputs; ++i)
    for (int64_t j = 0; j < shape.d; ++j)
      layer.memory->scales[i * shape.ldw + j] = b[i] * a[i / group_rows * shape.d + j];
  set_lambda(layer, config);
}

} // namespace lngd::cpu::LNGD_ISA
