// SPDX-License-Identifier: Apache-2.0
// precondition: D = Psi_inv G Phi_inv (paper alg. 1, line 12), over all layers of a plan at once.
//
// A task is some rows of one diagonal block: a GEMM of the gradient with the block's inverse, then, while the result is
// still in the cache, the row scaling by Psi_inv and every inner product that the layer rate and the trust ratio want.
// G is read where it lies if BLAS can; a gradient with other strides, the block with the bias column, and G + wd W
// (coupled decay) are packed. Where Phi is diagonal there is no product: D_ij = G_ij / (psi_i phi_j), damped.
#include "backend/cpu/kernels/fisher_row.h" // run_sum
#include "backend/cpu/kernels/tile_product.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

// G (or G + decay W) of `size` columns of one row, of which the last may be the bias.
void pack_row(const StepLayer& layer, int64_t row, int64_t begin, int64_t size, float decay, float* to) {
  const int64_t columns = std::min(size, layer.shape->inputs - begin); // without the bias; may be 0
  const caller_float* const g = at(layer.weight_gradients, row, begin);
  const int64_t gs = layer.weight_gradients.cs, ws = layer.weights.cs;
  if (decay == 0.0f) {
    for (int64_t j = 0; j < columns; ++j) to[j] = g[j * gs];
  } else {
    const caller_float* const w = at(layer.weights, row, begin);
    for (int64_t j = 0; j < columns; ++j) to[j] = g[j * gs] + decay * w[j * ws];
  }
  if (columns < size)
    to[columns] = *at(layer.bias_gradients, row) + (decay == 0.0f ? 0.0f : decay * *at(layer.bias, row));
}

// The task's rows and columns, packed with leading dimension ld.
void pack_gradient(const StepLayer& layer, const PreconditionTask& task, float decay, float* out) {
  const BlockLayout& blocks = layer.shape->blocks;
  for (int64_t row = task.row0; row < task.row1; ++row)
    pack_row(layer, row, blocks.begin(task.block), blocks.size(task.block), decay,
             out + (row - task.row0) * blocks.ld(task.block));
}

// Squares of floats below 1e-19 or above 1e19 leave float's range: rows whose sums come near that are summed again in
// double.
bool in_float_range(double square) { return square > 1e-30 && square < 1e30; }

template <typename A, typename B>
double exact_dot(int64_t count, A a, B b) {
  double sum = 0;
  for (int64_t j = 0; j < count; ++j) sum += static_cast<double>(a(j)) * static_cast<double>(b(j));
  return sum;
}

// ||W||^2 of the task's elements of one row.
double weight_square(const StepLayer& layer, int64_t row, int64_t begin, int64_t columns, bool bias) {
  const caller_float* const w = at(layer.weights, row, begin);
  const int64_t stride = layer.weights.cs;
  double square = stride == 1 ? run_sum(columns, [w](int64_t j) { return w[j] * w[j]; })
                              : run_sum(columns, [w, stride](int64_t j) { return w[j * stride] * w[j * stride]; });
  if (!in_float_range(square)) {
    const auto element = [w, stride](int64_t j) { return w[j * stride]; };
    square = exact_dot(columns, element, element);
  }
  if (bias) square += static_cast<double>(*at(layer.bias, row)) * *at(layer.bias, row);
  return square;
}

// A task where Phi is diagonal. The gradient goes by in short runs: a row of it may be as long as a vocabulary, and any
// stride apart.
DirectionSums diagonal_rows(const StepLayer& layer, const PreconditionTask& task, float decay) {
  const LayerShape& shape = *layer.shape;
  const int64_t begin = shape.blocks.begin(task.block), size = shape.blocks.size(task.block);
  const bool bias = begin == shape.inputs; // the bias is a block of its own
  const float* const phi_inverse = layer.memory->phi_inverse + shape.blocks.offset(task.block);
  float g[kFloatRun];
  DirectionSums sums{};
  for (int64_t row = task.row0; row < task.row1; ++row) {
    float* const d = layer.memory->direction + row * shape.ldw + begin;
    const float psi_inverse = layer.memory->psi_inverse[row];
    double dg = 0, dd = 0;
    for (int64_t first = 0; first < size; first += kFloatRun) {
      const int64_t count = std::min(kFloatRun, size - first);
      pack_row(layer, row, begin + first, count, decay, g);
      const float* const inverse = phi_inverse + first;
      float* const to = d + first;
      float run_dg = 0, run_dd = 0;
#pragma omp simd reduction(+ : run_dg, run_dd)
      for (int64_t j = 0; j < count; ++j) {
        const float scaled = psi_inverse * (g[j] * inverse[j]);
        to[j] = scaled;
        run_dg += scaled * g[j];
        run_dd += scaled * scaled;
      }
      dg += run_dg;
      dd += run_dd;
    }
    if (!in_float_range(dd)) {
      dg = 0;
      for (int64_t first = 0; first < size; first += kFloatRun) {
        const int64_t count = std::min(kFloatRun, size - first);
        pack_row(layer, row, begin + first, count, decay, g);
        const auto d_j = [d, first](int64_t j) { return d[first + j]; };
        dg += exact_dot(count, d_j, [&g](int64_t j) { return g[j]; });
      }
      const auto d_j = [d](int64_t j) { return d[j]; };
      dd = exact_dot(size, d_j, d_j);
    }
    sums.direction_gradient += dg;
    sums.direction_direction += dd;
    sums.direction_psi += dd / psi_inverse;
    sums.psi_gradient += dg * psi_inverse;
    sums.weight_weight += weight_square(layer, row, begin, bias ? 0 : size, bias);
  }
  return sums;
}

// A tile of which only `rows` x `columns` elements exist: made aside, from rows that are filled up with zeros.
void edge_tile(const float* g, int64_t ldg, int64_t rows, int64_t n, const float* inverse, int64_t ld, int64_t columns,
               float* d, int64_t ldd) {
  alignas(64) float tile[kTileRows * kTileColumns];
  alignas(64) float filled[kTileRows * kSmallFactor];
  if (rows < kTileRows) {
    for (int64_t i = 0; i < kTileRows; ++i)
      for (int64_t k = 0; k < n; ++k) filled[i * kSmallFactor + k] = i < rows ? g[i * ldg + k] : 0.0f;
    g = filled;
    ldg = kSmallFactor;
  }
  const int64_t width = (columns + kVectorFloats - 1) / kVectorFloats * kVectorFloats; // a row of the inverse has them
  tile_row<Put::kAssign, Left::kByRow>(n, g, ldg, inverse, ld, width, tile, kTileColumns);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) d[i * ldd + j] = tile[i * kTileColumns + j];
}

// d = g inverse for a block of up to kSmallFactor columns. Both lie in the caches as they are; sgemm would first copy
// them (74 against 97 GFLOP/s for blocks of 128). Strip by strip, so that a strip of the inverse stays in the
// first-level cache.
void small_product(const float* g, int64_t ldg, int64_t rows, int64_t n, const float* inverse, int64_t ld, float* d,
                   int64_t ldd) {
  for (int64_t j = 0; j < n; j += kTileColumns) {
    const int64_t columns = std::min<int64_t>(kTileColumns, n - j);
    for (int64_t i = 0; i < rows; i += kTileRows) {
      const int64_t height = std::min<int64_t>(kTileRows, rows - i);
      if (height == kTileRows && columns % kVectorFloats == 0)
        tile_row<Put::kAssign, Left::kByRow>(n, g + i * ldg, ldg, inverse + j, ld, columns, d + i * ldd + j, ldd);
      else
        edge_tile(g + i * ldg, ldg, height, n, inverse + j, ld, columns, d + i * ldd + j, ldd);
    }
  }
}

void run_task(CpuContext& context, const StepArgs& args, int64_t index, int32_t worker) {
  CpuPlan& plan = cpu(args.plan);
  const PreconditionTask& task = plan.precondition[static_cast<size_t>(index)];
  const StepLayer& layer = args.layers[task.layer];
  if (!layer.memory->record->has_inverse) return; // layer_rate skips the layer
  const LayerShape& shape = *layer.shape;
  const int64_t begin = shape.blocks.begin(task.block), size = shape.blocks.size(task.block);
  const int64_t ld = shape.blocks.ld(task.block);
  const bool has_bias = shape.bias && begin + size == shape.d;
  const float decay = args.config->decay == LNGD_DECAY_COUPLED ? static_cast<float>(args.config->weight_decay) : 0.0f;
  if (shape.blocks.is_diagonal) {
    plan.sums[static_cast<size_t>(index)] = diagonal_rows(layer, task, decay);
    return;
  }
  const float* gradient;
  int64_t ldg;
  if (!has_bias && decay == 0.0f && blas_ready(layer.weight_gradients, shape.inputs)) {
    gradient = layer.weight_gradients.data + task.row0 * layer.weight_gradients.rs + begin;
    ldg = layer.weight_gradients.rs;
  } else {
    float* const packed = plan.worker[static_cast<size_t>(worker)].data();
    pack_gradient(layer, task, decay, packed);
    gradient = packed;
    ldg = ld;
  }
  float* const direction = layer.memory->direction + task.row0 * shape.ldw + begin;
  const int rows = static_cast<int>(task.row1 - task.row0), n = static_cast<int>(size);
  const float* const inverse = layer.memory->phi_inverse + shape.blocks.offset(task.block);
  if (size <= kSmallFactor)
    small_product(gradient, ldg, rows, size, inverse, ld, direction, shape.ldw);
  else
    context.blas.sgemm(kRowMajor, kNoTrans, kNoTrans, rows, n, n, 1.0f, gradient, static_cast<int>(ldg), inverse,
                       static_cast<int>(ld), 0.0f, direction, static_cast<int>(shape.ldw));
  DirectionSums sums{};
  for (int64_t row = 0; row < rows; ++row) {
    float* const d = direction + row * shape.ldw;
    const float* const g = gradient + row * ldg;
    const float psi_inverse = layer.memory->psi_inverse[task.row0 + row];
    double dg = 0, dd = 0;
    for (int64_t first = 0; first < size; first += kFloatRun) {
      const int64_t last = std::min(size, first + kFloatRun);
      float run_dg = 0, run_dd = 0;
#pragma omp simd reduction(+ : run_dg, run_dd)
      for (int64_t j = first; j < last; ++j) {
        const float scaled = psi_inverse * d[j];
        d[j] = scaled;
        run_dg += scaled * g[j];
        run_dd += scaled * scaled;
      }
      dg += run_dg;
      dd += run_dd;
    }
    if (!in_float_range(dd)) {
      const auto d_j = [d](int64_t j) { return d[j]; };
      dg = exact_dot(size, d_j, [g](int64_t j) { return g[j]; });
      dd = exact_dot(size, d_j, d_j);
    }
    sums.direction_gradient += dg;
    sums.direction_direction += dd;
    sums.direction_psi += dd / psi_inverse;
    sums.psi_gradient += dg * psi_inverse;
    sums.weight_weight += weight_square(layer, task.row0 + row, begin, size - (has_bias ? 1 : 0), has_bias);
  }
  plan.sums[static_cast<size_t>(index)] = sums;
}

} // namespace

void precondition(Context& base, const StepArgs& args) {
  CpuContext& context = cpu(base);
  const CpuPlan& plan = cpu(args.plan);
  const KernelScope scope(context, plan.work_precondition);
  context.pool.parallel_for(static_cast<int64_t>(plan.precondition.size()), plan.work_precondition,
                            [&](int64_t task, int32_t worker) { run_task(context, args, task, worker); });
}

} // namespace lngd::cpu::LNGD_ISA
