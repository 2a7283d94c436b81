// SPDX-License-Identifier: Apache-2.0
// Layer-wise Fisher sampling (paper 3.1): the squares q_ni = g_ni^2 of the per-sample gradients of a layer's own model,
// one sample at a time.
//
//   model (output)                EXPECTED                                 SAMPLED
//   Gaussian around phi(s)        phi'(s_i)^2                              (phi'(s_i) eps_i)^2,            eps ~ N(0,
//   I) softmax, categorical          p_i (1 - p_i)                            (p_i - [i = y])^2,              y ~ p
//   sigmoid, Bernoulli            p_i (1 - p_i)                            (p_i - y_i)^2,                  y_i ~ p_i
//   softmax, Gaussian (paper)     p_i^2 (1 - 2 p_i + sum_j p_j^2)          (p_i (eps_i - <p, eps>))^2
#ifndef LNGD_BACKEND_CPU_KERNELS_FISHER_ROW_H
#define LNGD_BACKEND_CPU_KERNELS_FISHER_ROW_H

#include "backend/cpu/kernels/kernels.h"
#include "optimizer/random.h"

namespace lngd::cpu::LNGD_ISA {

// out[i] = the signal of one sample, contiguous.
LNGD_INLINE void gather(const Strided& view, int64_t row, int64_t count, float* out) {
  const caller_float* from = at(view, row);
  if (view.cs == 1) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) out[i] = from[i];
  } else {
    for (int64_t i = 0; i < count; ++i) out[i] = from[i * view.cs];
  }
}

// sum_i f(i) for i = 0 .. count-1: float runs, double beyond them.
template <typename Term>
LNGD_INLINE double run_sum(int64_t count, Term term) {
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += kFloatRun) {
    const int64_t end = begin + kFloatRun < count ? begin + kFloatRun : count;
    float run = 0;
#pragma omp simd reduction(+ : run)
    for (int64_t i = begin; i < end; ++i) run += term(i);
    total += run;
  }
  return total;
}

// One instance for each activation, so that the choice is made outside the loop.
template <int Activation>
LNGD_INLINE void derivative_row(bool of_output, float parameter, const float* x, int64_t m, float* out) {
  if (of_output) {
#pragma omp simd
    for (int64_t i = 0; i < m; ++i) out[i] = activation_derivative_of_output(Activation, parameter, x[i]);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < m; ++i) out[i] = activation_derivative(Activation, parameter, x[i]);
  }
}

// out = phi'(s), x = s or phi(s); may be the same array.
inline void derivative_row(int32_t activation, bool of_output, float parameter, const float* x, int64_t m, float* out) {
  switch (activation) {
#define LNGD_CASE(name) \
  case name:            \
    return derivative_row<name>(of_output, parameter, x, m, out);
    LNGD_CASE(LNGD_ACTIVATION_IDENTITY)
    LNGD_CASE(LNGD_ACTIVATION_RELU)
    LNGD_CASE(LNGD_ACTIVATION_LEAKY_RELU)
    LNGD_CASE(LNGD_ACTIVATION_ELU)
    LNGD_CASE(LNGD_ACTIVATION_TANH)
    LNGD_CASE(LNGD_ACTIVATION_SIGMOID)
    LNGD_CASE(LNGD_ACTIVATION_SOFTPLUS)
    LNGD_CASE(LNGD_ACTIVATION_GELU)
    LNGD_CASE(LNGD_ACTIVATION_SWISH)
#undef LNGD_CASE
    default:
      return;
  }
}

// x: logits in, probabilities out.
inline void softmax_row(float* x, int64_t m) {
  float largest = x[0];
#pragma omp simd reduction(max : largest)
  for (int64_t i = 1; i < m; ++i) largest = x[i] > largest ? x[i] : largest;
#pragma omp simd
  for (int64_t i = 0; i < m; ++i) x[i] = fast_exp(x[i] - largest);
  const float scale = static_cast<float>(1.0 / run_sum(m, [x](int64_t i) { return x[i]; }));
#pragma omp simd
  for (int64_t i = 0; i < m; ++i) x[i] *= scale;
}

// eps of the elements first .. first + m - 1.
inline void normal_row(const PhiloxStream& stream, uint64_t first, int64_t m, float* eps) {
  const uint64_t last = first + static_cast<uint64_t>(m);
  for (uint64_t group = first / 4; group * 4 < last; ++group) {
    float four[4];
    stream.normals(group, four);
    for (uint64_t lane = 0; lane < 4; ++lane) {
      const uint64_t element = group * 4 + lane;
      if (element >= first && element < last) eps[element - first] = four[lane];
    }
  }
}

// The class drawn from p with u uniform in (0, 1).
LNGD_INLINE int64_t draw_class(const float* p, int64_t m, double u) {
  double cumulative = 0;
  for (int64_t i = 0; i < m; ++i) {
    cumulative += p[i];
    if (u < cumulative) return i;
  }
  return m - 1;
}

// What the rows of one observed batch have in common.
struct FisherModel {
  const LayerShape& shape;
  int32_t signal_kind;
  PhiloxStream stream;

  template <typename Args> // StatisticsArgs or ConvStatisticsArgs
  explicit FisherModel(const Args& args)
      : shape(*args.shape), signal_kind(args.signal_kind), stream(args.seed, args.shape->index, args.step) {}
};

// Whether every q comes from its own signal alone, without noise: then any run of elements will do, not only rows.
LNGD_INLINE bool elementwise(const FisherModel& model) {
  if (model.signal_kind == LNGD_SIGNAL_GRADIENTS) return true;
  const int32_t output = model.shape.output;
  return model.shape.fisher == LNGD_FISHER_EXPECTED && output != LNGD_OUTPUT_SOFTMAX &&
         output != LNGD_OUTPUT_SOFTMAX_GAUSSIAN;
}

// q of `count` elements of such a model; q may be x.
inline void fisher_elements(const FisherModel& model, int64_t count, const float* x, float* q) {
  const LayerShape& shape = model.shape;
  const bool outputs = model.signal_kind == LNGD_SIGNAL_OUTPUTS;
  if (model.signal_kind == LNGD_SIGNAL_GRADIENTS) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) q[i] = x[i] * x[i];
  } else if (shape.output == LNGD_OUTPUT_SIGMOID) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) q[i] = outputs ? x[i] * (1.0f - x[i]) : sigmoid_slope(x[i]);
  } else { // Gaussian around phi(s)
    derivative_row(shape.activation, outputs, shape.activation_parameter, x, count, q);
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) q[i] *= q[i];
  }
}

// q (m) of row number `row` of the update. x: the row of the signal, overwritten; eps: a workspace of m; q may be x.
inline void fisher_row(const FisherModel& model, int64_t row, float* x, float* eps, float* q) {
  const LayerShape& shape = model.shape;
  const int64_t m = shape.outputs;
  const bool sampled = shape.fisher == LNGD_FISHER_SAMPLED;
  const bool outputs = model.signal_kind == LNGD_SIGNAL_OUTPUTS;
  const PhiloxStream& stream = model.stream;
  const uint64_t first = static_cast<uint64_t>(row) * static_cast<uint64_t>(m);
  if (elementwise(model)) {
    fisher_elements(model, m, x, q);
  } else if (shape.output == LNGD_OUTPUT_SOFTMAX) {
    if (!outputs) softmax_row(x, m);
    if (sampled) {
      const int64_t y = draw_class(x, m, stream.uniform(first));
#pragma omp simd
      for (int64_t i = 0; i < m; ++i) {
        const float g = x[i] - (i == y ? 1.0f : 0.0f);
        q[i] = g * g;
      }
    } else {
#pragma omp simd
      for (int64_t i = 0; i < m; ++i) q[i] = x[i] * (1.0f - x[i]);
    }
  } else if (shape.output == LNGD_OUTPUT_SIGMOID) { // sampled
    for (int64_t i = 0; i < m; ++i) {
      const float p = outputs ? x[i] : sigmoid(x[i]);
      const float g = p - (stream.uniform(first + static_cast<uint64_t>(i)) < p ? 1.0f : 0.0f);
      q[i] = g * g;
    }
  } else if (shape.output == LNGD_OUTPUT_SOFTMAX_GAUSSIAN) {
    if (!outputs) softmax_row(x, m);
    if (sampled) {
      normal_row(stream, first, m, eps);
      const float mean = static_cast<float>(run_sum(m, [x, eps](int64_t i) { return x[i] * eps[i]; }));
#pragma omp simd
      for (int64_t i = 0; i < m; ++i) {
        const float g = x[i] * (eps[i] - mean);
        q[i] = g * g;
      }
    } else {
      const float squares = static_cast<float>(run_sum(m, [x](int64_t i) { return x[i] * x[i]; }));
#pragma omp simd
      for (int64_t i = 0; i < m; ++i) q[i] = x[i] * x[i] * (1.0f - 2.0f * x[i] + squares);
    }
  } else { // Gaussian around phi(s), sampled
    derivative_row(shape.activation, outputs, shape.activation_parameter, x, m, x);
    normal_row(stream, first, m, eps);
#pragma omp simd
    for (int64_t i = 0; i < m; ++i) q[i] = (x[i] * eps[i]) * (x[i] * eps[i]);
  }
}

// r = sum_i q_i.
LNGD_INLINE double row_sum(const float* q, int64_t m) {
  return run_sum(m, [q](int64_t i) { return q[i]; });
}

// c = ||a||^2 of sample `row`, the constant 1 of a bias included.
inline double input_square(const StatisticsArgs& args, int64_t row) {
  const caller_float* a = at(args.inputs, row);
  const int64_t stride = args.inputs.cs;
  const int64_t count = args.shape->inputs;
  const double square = stride == 1 ? run_sum(count, [a](int64_t j) { return a[j] * a[j]; })
                                    : run_sum(count, [a, stride](int64_t j) { return a[j * stride] * a[j * stride]; });
  return square + (args.shape->bias ? 1.0 : 0.0);
}

} // namespace lngd::cpu::LNGD_ISA
#endif
