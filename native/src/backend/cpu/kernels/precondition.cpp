// SPDX-License-Identifier: Apache-2.0
// precondition: D = Psi_inv G Phi_inv (paper alg. 1, line 12), over all layers of a plan at once.
//
// A task is some rows of one diagonal block: a GEMM of the gradient with the block's inverse, then, while the result is
// still in the cache, the row scaling by Psi_inv and every inner product that the layer rate and the trust ratio want.
// G is read where it lies if BLAS can; a gradient with other strides, the block with the bias column, and G + wd W
// (coupled decay) are packed.
#include "backend/cpu/kernels/precondition_rows.h"
#include "backend/cpu/kernels/second_factor.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

void run_task(CpuContext& context, const StepArgs& args, int64_t index, int32_t worker) {
  CpuPlan& plan = cpu(args.plan);
  const PreconditionTask& task = plan.precondition[static_cast<size_t>(index)];
  const StepLayer& layer = args.layers[task.layer];
  if (!layer.memory->record->has_inverse) return; // layer_rate skips the layer
  const LayerShape& shape = *layer.shape;
  const int64_t begin = shape.blocks.begin(task.block), size = shape.blocks.size(task.block);
  const int64_t ld = shape.blocks.ld(task.block);
  const bool has_bias = shape.bias && begin + size == shape.d;
  const auto [gradient, ldg] = gradient_of(args, task, plan.worker[static_cast<size_t>(worker)].data());
  float* const direction = layer.memory->direction + task.row0 * shape.ldw + begin;
  const int rows = static_cast<int>(task.row1 - task.row0), n = static_cast<int>(size);
  context.blas.sgemm(kRowMajor, kNoTrans, kNoTrans, rows, n, n, 1.0f, gradient, static_cast<int>(ldg),
                     layer.memory->phi_inverse + shape.blocks.offset(task.block), static_cast<int>(ld), 0.0f, direction,
                     static_cast<int>(shape.ldw));
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
  if (args.config->approximation != LNGD_APPROXIMATION_LNGD) return dense_precondition(context, args);
  const CpuPlan& plan = cpu(args.plan);
  const KernelScope scope(context, plan.work_precondition);
  context.pool.parallel_for(static_cast<int64_t>(plan.precondition.size()), plan.work_precondition,
                            [&](int64_t task, int32_t worker) { run_task(context, args, task, worker); });
}

} // namespace lngd::cpu::LNGD_ISA
