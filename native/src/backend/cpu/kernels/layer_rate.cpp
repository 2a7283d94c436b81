// SPDX-License-Identifier: Apache-2.0
// layer_rate: alpha_l = <D, G> / (C + mu) (paper 3.2, eq. 12-13), and from it by step_rules.h the coefficient of the
// layer: zeta = coefficient D. What is measured here:
//
//   EMPIRICAL   C = (1/N) sum_n (delta_n^T D a_n)^2. The product A D^T is made in tiles of 64 x 512 and reduced against
//   delta at once; the N x m
//               matrix never exists.
//   KRONECKER   C = tr(Psi D Phi D^T) = sum over blocks of <D,G> - lambda_Phi <D, Psi_d D> - lambda_Psi <D, Psi_d^-1 G>
//   + lambda_Phi lambda_Psi ||D||^2,
//               since G = Psi_d D Phi_d with the damped factors Psi_d = Psi + lambda_Psi, Phi_d = Phi + lambda_Phi. All
//               four come with precondition.
#include <cmath>

#include "backend/cpu/kernels/conv_curvature.h"
#include "backend/cpu/kernels/embedding.h"
#include "backend/cpu/kernels/fisher_row.h" // run_sum
#include "backend/cpu/kernels/parameter.h"
#include "backend/step_rules.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

// x_n = delta_n^T D a_n for the samples first .. first + rows - 1 of the subsample; returns sum_n x_n^2.
double squared_projections(const CpuContext& context, const StepLayer& layer, int64_t first, int64_t rows, int64_t used,
                           float* scratch) {
  const LayerShape& shape = *layer.shape;
  const int64_t m = shape.outputs, width = shape.inputs;
  // Sample k of the subsample is sample k N / used of the batch: evenly spaced, all of them if used = N.
  const auto sample = [&](int64_t k) { return (first + k) * layer.samples / used; };
  const float* inputs;
  int64_t lda;
  float* product = scratch;
  if (used == layer.samples && blas_ready(layer.sample_inputs, width)) {
    inputs = layer.sample_inputs.data + first * layer.sample_inputs.rs;
    lda = layer.sample_inputs.rs;
  } else {
    for (int64_t n = 0; n < rows; ++n) gather(layer.sample_inputs, sample(n), width, scratch + n * shape.ldw);
    inputs = scratch;
    lda = shape.ldw;
    product = scratch + kRateRows * shape.ldw;
  }
  float* const delta = product + kRateRows * kRateColumns;
  double x[kRateRows] = {};
  for (int64_t column = 0; column < m; column += kRateColumns) {
    const int64_t columns = std::min(kRateColumns, m - column);
    const float* const d = layer.memory->direction + column * shape.ldw;
    context.blas.sgemm(kRowMajor, kNoTrans, kTrans, static_cast<int>(rows), static_cast<int>(columns),
                       static_cast<int>(width), 1.0f, inputs, static_cast<int>(lda), d, static_cast<int>(shape.ldw),
                       0.0f, product, static_cast<int>(kRateColumns));
    const Strided deltas{reinterpret_cast<float*>(const_cast<caller_float*>(at(layer.sample_deltas, 0, column))),
                         layer.sample_deltas.rs, layer.sample_deltas.cs};
    for (int64_t n = 0; n < rows; ++n) {
      gather(deltas, sample(n), columns, delta);
      const float* const p = product + n * kRateColumns;
      x[n] += run_sum(columns, [delta, p](int64_t i) { return delta[i] * p[i]; });
      if (shape.bias) {
        double bias = 0;
        for (int64_t i = 0; i < columns; ++i) bias += static_cast<double>(delta[i]) * d[i * shape.ldw + width];
        x[n] += bias;
      }
    }
  }
  double sum = 0;
  for (int64_t n = 0; n < rows; ++n) sum += x[n] * x[n];
  return sum;
}

double empirical_curvature(CpuContext& context, const StepArgs& args, int32_t index, int64_t used) {
  const StepLayer& layer = args.layers[index];
  CpuPlan& plan = cpu(args.plan);
  const int64_t chunks = (used + kRateRows - 1) / kRateRows;
  const int64_t tasks = std::min(chunks, kRateTasks);
  double* const partial = plan.rate_partial.data() + index * kRateTasks;
  const double work = 2.0 * static_cast<double>(used) * static_cast<double>(layer.shape->outputs * layer.shape->d);
  context.pool.parallel_for(tasks, work, [&](int64_t task, int32_t worker) {
    double sum = 0;
    for (int64_t chunk = task * chunks / tasks; chunk < (task + 1) * chunks / tasks; ++chunk) {
      const int64_t first = chunk * kRateRows;
      sum += squared_projections(context, layer, first, std::min(kRateRows, used - first), used,
                                 plan.worker[static_cast<size_t>(worker)].data());
    }
    partial[task] = sum;
  });
  double sum = 0;
  for (int64_t task = 0; task < tasks; ++task) sum += partial[task];
  return sum / static_cast<double>(used);
}

// Sums over the tasks of a layer, in their order.
DirectionSums layer_sums(const StepArgs& args, int32_t index, double& kronecker) {
  const CpuPlan& plan = cpu(args.plan);
  const LayerMemory& memory = *args.layers[index].memory;
  const double lambda_psi = memory.record->lambda_psi;
  DirectionSums total{};
  kronecker = 0;
  for (size_t i = 0; i < plan.precondition.size(); ++i) {
    const PreconditionTask& task = plan.precondition[i];
    if (task.layer != index) continue;
    const DirectionSums& s = plan.sums[i];
    const double lambda_phi = memory.lambda_phi[task.block];
    total.direction_gradient += s.direction_gradient;
    total.direction_direction += s.direction_direction;
    total.weight_weight += s.weight_weight;
    kronecker += s.direction_gradient - lambda_phi * s.direction_psi - lambda_psi * s.psi_gradient +
                 lambda_phi * lambda_psi * s.direction_direction;
  }
  // Rounding may leave a small negative number where the undamped part is nothing.
  if (kronecker < 0) kronecker = 0;
  return total;
}

void rate_layer(CpuContext& context, const StepArgs& args, int32_t index) {
  const StepLayer& layer = args.layers[index];
  if (layer.shape->parameter) return rate_parameter(args, index);
  const lngd_config& config = *args.config;
  LayerRecord& record = *layer.memory->record;
  if (!record.has_inverse) return skip_step(record);
  double kronecker;
  const DirectionSums sums = layer_sums(args, index, kronecker);
  double curvature = 0;
  if (config.rate == LNGD_RATE_KRONECKER) curvature = kronecker;
  // A gradient that is not finite shows in <D, G>; then there is nothing to measure.
  if (config.rate == LNGD_RATE_EMPIRICAL && std::isfinite(sums.direction_gradient)) {
    const int64_t used =
        config.rate_samples > 0 ? std::min<int64_t>(config.rate_samples, layer.samples) : layer.samples;
    if (layer.shape->embedding) {
      curvature = embedding_curvature(context, args, index, used);
    } else if (!layer.shape->convolution) {
      curvature = empirical_curvature(context, args, index, used);
    } else if (!conv_curvature(context, layer, used, curvature)) {
      return skip_step(record);
    }
    const double inverse = cpu(args.plan).gradients.inverse; // of the deltas; D is of gradients without a scale
    curvature *= inverse * inverse;
  }
  rate_step(step_rules(config, args.factor), layer.shape->rules,
            {sums.direction_gradient, curvature, std::sqrt(sums.direction_direction), std::sqrt(sums.weight_weight)},
            record);
}

} // namespace

void layer_rate(Context& base, const StepArgs& args) {
  CpuContext& context = cpu(base);
  double work = 0;
  for (int32_t i = 0; i < args.count && args.config->rate == LNGD_RATE_EMPIRICAL; ++i) {
    const StepLayer& layer = args.layers[i];
    if (layer.shape->parameter) continue;
    const ConvGeometry& conv = layer.shape->conv;
    if (layer.shape->embedding) {
      work += 2.0 * static_cast<double>(layer.samples * layer.conv_inputs.width * layer.shape->outputs);
      continue;
    }
    const int64_t positions = layer.shape->convolution ? conv.positions(0, layer.conv_inputs.height) *
                                                             conv.positions(1, layer.conv_inputs.width)
                                                       : 1;
    work += 2.0 * static_cast<double>(layer.samples * positions) *
            static_cast<double>(layer.shape->outputs * layer.shape->d);
  }
  const KernelScope scope(context, work);
  const bool skip = cpu(args.plan).gradients.skip != 0;
  for (int32_t i = 0; i < args.count; ++i)
    skip ? skip_step(*args.layers[i].memory->record) : rate_layer(context, args, i);
}

} // namespace lngd::cpu::LNGD_ISA
