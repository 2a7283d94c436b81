// SPDX-License-Identifier: Apache-2.0
// Layer-wise Fisher sampling on the device: q of one element, and what a row needs before (softmax, the drawn class).
// The formulas are those of backend/cpu/kernels/fisher_row.h, the activations and random numbers the very same code.
#ifndef LNGD_BACKEND_CUDA_FISHER_ROW_CUH
#define LNGD_BACKEND_CUDA_FISHER_ROW_CUH

#include "backend/activation.h"
#include "backend/backend.h"
#include "backend/cuda/simt.cuh"
#include "optimizer/random.h"

namespace lngd::cuda {

enum class Gradient : int32_t { Provided, Slope, Softmax, Sigmoid, SoftmaxGaussian };

// The layer's own model, resolved on the host.
struct FisherModel {
  Gradient gradient;
  int32_t activation;
  float parameter;
  bool outputs; // the signal is phi(s) or p, not s
  bool sampled;

  __device__ bool row_first() const { return gradient == Gradient::Softmax || gradient == Gradient::SoftmaxGaussian; }
  __device__ bool normals() const {
    return sampled && (gradient == Gradient::Slope || gradient == Gradient::SoftmaxGaussian);
  }
};

inline FisherModel fisher_model(const LayerShape& shape, int32_t signal_kind) {
  FisherModel model{Gradient::Slope, shape.activation, shape.activation_parameter, signal_kind == LNGD_SIGNAL_OUTPUTS,
                    shape.fisher == LNGD_FISHER_SAMPLED};
  if (signal_kind == LNGD_SIGNAL_GRADIENTS) {
    model.gradient = Gradient::Provided;
    model.sampled = false;
  } else if (shape.output == LNGD_OUTPUT_SOFTMAX) {
    model.gradient = Gradient::Softmax;
  } else if (shape.output == LNGD_OUTPUT_SIGMOID) {
    model.gradient = Gradient::Sigmoid;
  } else if (shape.output == LNGD_OUTPUT_SOFTMAX_GAUSSIAN) {
    model.gradient = Gradient::SoftmaxGaussian;
  }
  return model;
}

// Of a row of the softmax models: p_i = exp(x_i - largest) * scale.
struct RowParameters {
  float largest, scale;
  float mean; // SoftmaxGaussian: <p, eps>, or sum_j p_j^2
  int32_t label;
};

__device__ __forceinline__ float probability(const FisherModel& model, const RowParameters& row, float x) {
  return model.outputs ? x : fast_exp(x - row.largest) * row.scale;
}

__device__ __forceinline__ float normal_of(const PhiloxStream& stream, uint64_t element) {
  float four[4];
  stream.normals(element / 4, four);
  const float low = element % 2 ? four[1] : four[0], high = element % 2 ? four[3] : four[2];
  return element % 4 < 2 ? low : high;
}

// q from the signal x; i is the row's element, `element` its number and eps its normal, both for SAMPLED only.
template <bool Sampled>
__device__ __forceinline__ float fisher_square(const FisherModel& model, const PhiloxStream& stream,
                                               const RowParameters& row, float x, int32_t i, uint64_t element,
                                               float eps) {
  float g = x;
  switch (model.gradient) {
    case Gradient::Slope:
      g = model.outputs ? activation_derivative_of_output(model.activation, model.parameter, x)
                        : activation_derivative(model.activation, model.parameter, x);
      if (Sampled) g *= eps;
      break;
    case Gradient::Softmax: {
      const float p = probability(model, row, x);
      if (!Sampled) return p * (1.0f - p);
      g = p - (i == row.label ? 1.0f : 0.0f);
      break;
    }
    case Gradient::Sigmoid: {
      if (!Sampled) return model.outputs ? x * (1.0f - x) : sigmoid_slope(x);
      const float p = model.outputs ? x : sigmoid(x);
      g = p - (stream.uniform(element) < static_cast<double>(p) ? 1.0f : 0.0f);
      break;
    }
    case Gradient::SoftmaxGaussian: {
      const float p = probability(model, row, x);
      if (!Sampled) return p * p * (1.0f - 2.0f * p + row.mean);
      g = p * (eps - row.mean);
      break;
    }
    default: // Provided
      break;
  }
  return g * g;
}

// The class drawn with u from p_i = at(i), by a warp: the first i whose cumulative sum exceeds u.
template <class Probability>
__device__ int32_t draw_class(int32_t m, double u, Probability at) {
  const int32_t lane = static_cast<int32_t>(threadIdx.x) % 32;
  double before = 0;
  for (int32_t base = 0; base < m; base += 32) {
    double sum = base + lane < m ? static_cast<double>(at(base + lane)) : 0.0;
#pragma unroll
    for (unsigned distance = 1; distance < 32; distance *= 2) {
      const double left = __shfl_up_sync(kFullWarp, sum, distance);
      if (lane >= static_cast<int32_t>(distance)) sum += left;
    }
    const unsigned hit = __ballot_sync(kFullWarp, base + lane < m && u < before + sum);
    if (hit != 0) return base + __ffs(static_cast<int>(hit)) - 1;
    before += __shfl_sync(kFullWarp, sum, 31);
  }
  return m - 1;
}

// What the softmax models need of a row, by a warp. `signal(i)` is x_i; `first` is the number of the row's element 0.
template <bool Sampled, class Signal>
__device__ RowParameters row_parameters(const FisherModel& model, const PhiloxStream& stream, int32_t m, uint64_t first,
                                        Signal signal) {
  const int32_t lane = static_cast<int32_t>(threadIdx.x) % 32;
  RowParameters row{0.0f, 1.0f, 0.0f, -1};
  if (!model.outputs) {
    float largest = signal(0);
    for (int32_t i = lane; i < m; i += 32) largest = fmaxf(largest, signal(i)); // a NaN shows in the sum
    row.largest = warp_max(largest);
    double sum = 0;
    for (int32_t i = lane; i < m; i += 32) sum += static_cast<double>(fast_exp(signal(i) - row.largest));
    row.scale = static_cast<float>(1.0 / warp_sum(sum));
  }
  const auto p = [&](int32_t i) { return probability(model, row, signal(i)); };
  if (model.gradient == Gradient::Softmax) {
    if (Sampled) row.label = draw_class(m, stream.uniform(first), p);
    return row;
  }
  double sum = 0;
  for (int32_t i = lane; i < m; i += 32) {
    const float chance = p(i);
    sum += static_cast<double>(chance * (Sampled ? normal_of(stream, first + static_cast<uint64_t>(i)) : chance));
  }
  row.mean = static_cast<float>(warp_sum(sum));
  return row;
}

} // namespace lngd::cuda
#endif
