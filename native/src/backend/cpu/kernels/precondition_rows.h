// SPDX-License-Identifier: Apache-2.0
// What the products of precondition read, and the sums that follow them, whatever the second factor.
#ifndef LNGD_BACKEND_CPU_KERNELS_PRECONDITION_ROWS_H
#define LNGD_BACKEND_CPU_KERNELS_PRECONDITION_ROWS_H

#include "backend/cpu/kernels/fisher_row.h" // run_sum

namespace lngd::cpu::LNGD_ISA {

// What the gradient gets of the weights before it is preconditioned.
inline float coupled_decay(const lngd_config& config, const StepLayer& layer) {
  if (config.decay != LNGD_DECAY_COUPLED) return 0.0f;
  return static_cast<float>(config.weight_decay * layer.shape->rules.decay_multiplier);
}

// How a layer's gradient is read: scale G + decay W.
struct Reading {
  float scale, decay;
  bool plain() const { return scale == 1.0f && decay == 0.0f; }
};
inline Reading reading_of(const StepArgs& args, const StepLayer& layer) {
  return {cpu(args.plan).gradients.factor, coupled_decay(*args.config, layer)};
}

// pack_row where G is scaled. The product is rounded before anything is added, as if the caller had scaled G: hence the
// second pass. Not inlined, so that the loops round pack_row are those of a gradient that is not scaled.
[[gnu::noinline]] inline void pack_scaled_row(const StepLayer& layer, int64_t row, int64_t begin, int64_t size,
                                              const Reading& reading, float* to) {
  const int64_t columns = std::min(size, layer.shape->inputs - begin);
  const caller_float* const g = at(layer.weight_gradients, row, begin);
  const int64_t gs = layer.weight_gradients.cs, ws = layer.weights.cs;
  for (int64_t j = 0; j < columns; ++j) to[j] = reading.scale * g[j * gs];
  float bias = columns < size ? reading.scale * *at(layer.bias_gradients, row) : 0.0f;
  asm("" : "+x"(bias)); // rounded here, not fused with the sum below
  if (reading.decay != 0.0f) {
    const caller_float* const w = at(layer.weights, row, begin);
    for (int64_t j = 0; j < columns; ++j) to[j] += reading.decay * w[j * ws];
  }
  if (columns < size) to[columns] = bias + (reading.decay == 0.0f ? 0.0f : reading.decay * *at(layer.bias, row));
}

// G (or G + decay W) of `size` columns of one row, of which the last may be the bias.
inline void pack_row(const StepLayer& layer, int64_t row, int64_t begin, int64_t size, float decay, float* to) {
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

inline void pack_row(const StepLayer& layer, int64_t row, int64_t begin, int64_t size, const Reading& reading,
                     float* to) {
  if (reading.scale != 1.0f)
    pack_scaled_row(layer, row, begin, size, reading, to);
  else
    pack_row(layer, row, begin, size, reading.decay, to);
}

// The task's rows and columns, packed with leading dimension ld.
inline void pack_gradient(const StepLayer& layer, const PreconditionTask& task, const Reading& reading, float* out) {
  const BlockLayout& blocks = layer.shape->blocks;
  for (int64_t row = task.row0; row < task.row1; ++row)
    pack_row(layer, row, blocks.begin(task.block), blocks.size(task.block), reading,
             out + (row - task.row0) * blocks.ld(task.block));
}

// Squares of floats below 1e-19 or above 1e19 leave float's range: rows whose sums come near that are summed again in
// double.
inline bool in_float_range(double square) { return square > 1e-30 && square < 1e30; }

template <typename A, typename B>
double exact_dot(int64_t count, A a, B b) {
  double sum = 0;
  for (int64_t j = 0; j < count; ++j) sum += static_cast<double>(a(j)) * static_cast<double>(b(j));
  return sum;
}

// ||W||^2 of the task's elements of one row.
inline double weight_square(const StepLayer& layer, int64_t row, int64_t begin, int64_t columns, bool bias) {
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

// The gradient of a task's rows and columns, as BLAS takes it.
struct Gradient {
  const float* data;
  int64_t ld;
};

// G where it lies if BLAS can read it there; otherwise packed into `scratch`.
inline Gradient gradient_of(const StepArgs& args, const PreconditionTask& task, float* scratch) {
  const StepLayer& layer = args.layers[task.layer];
  const LayerShape& shape = *layer.shape;
  const int64_t begin = shape.blocks.begin(task.block), size = shape.blocks.size(task.block);
  const bool has_bias = shape.bias && begin + size == shape.d;
  const Reading reading = reading_of(args, layer);
  if (!has_bias && reading.plain() && blas_ready(layer.weight_gradients, shape.inputs))
    return {layer.weight_gradients.data + task.row0 * layer.weight_gradients.rs + begin, layer.weight_gradients.rs};
  pack_gradient(layer, task, reading, scratch);
  return {scratch, shape.blocks.ld(task.block)};
}

} // namespace lngd::cpu::LNGD_ISA
#endif
