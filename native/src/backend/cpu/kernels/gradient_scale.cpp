// SPDX-License-Identifier: Apache-2.0
// The norm of all gradients of a plan, and from it what they are multiplied by. One more pass over them, 4 bytes an
// element read, and none where nothing is clipped. The tasks are those of apply_update, whose cut does not depend on
// the threads, and their sums are added in the order of the tasks: the same bits for any number of threads.
#include "backend/cpu/kernels/gradient_scale.h"
#include "backend/cpu/kernels/parameter.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

// In double: no square of a float leaves its range, and a NaN or an Inf shows in the sum.
LNGD_INLINE double run_square(const caller_float* g, int64_t stride, int64_t count) {
  double square = 0;
#pragma omp simd reduction(+ : square)
  for (int64_t j = 0; j < count; ++j) {
    const double x = g[j * stride];
    square += x * x;
  }
  return square;
}

double task_square(const StepLayer& layer, const UpdateTask& task) {
  const Strided& g = layer.weight_gradients;
  double square = 0;
  const auto run = [&](int64_t row, int64_t column, int64_t count) {
    square += g.cs == 1 ? run_square(at(g, row, column), 1, count) : run_square(at(g, row, column), g.cs, count);
  };
  if (layer.shape->parameter) {
    for_runs(layer, task, [&](int64_t, int64_t count, int64_t row, int64_t column) { run(row, column, count); });
    return square;
  }
  for (int64_t row = task.row0; row < task.row1; ++row) {
    run(row, 0, layer.shape->inputs);
    if (layer.shape->bias) square += run_square(at(layer.bias_gradients, row), 1, 1);
  }
  return square;
}

} // namespace

void scale_gradients(CpuContext& context, const StepArgs& args) {
  CpuPlan& plan = cpu(args.plan);
  plan.gradients = unscaled(args.scaling);
  if (!(args.config->gradient_clipping > 0)) return;
  const double work = plan.work_update / 5; // apply_update's seven streams are counted as 20
  const KernelScope scope(context, work);
  context.pool.parallel_for(static_cast<int64_t>(plan.updates.size()), work, [&](int64_t index, int32_t) {
    const UpdateTask& task = plan.updates[static_cast<size_t>(index)];
    plan.gradient_squares[static_cast<size_t>(index)] = task_square(args.layers[task.layer], task);
  });
  double square = 0;
  for (const double of_task : plan.gradient_squares) square += of_task;
  clip(plan.gradients, square, args.config->gradient_clipping);
}

} // namespace lngd::cpu::LNGD_ISA
