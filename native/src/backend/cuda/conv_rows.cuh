// SPDX-License-Identifier: Apache-2.0
// The rows of a convolution on the device. Row n * positions + oy * width + ox is the patch of output position (oy, ox)
// of sample n; no patch is ever written down.
#ifndef LNGD_BACKEND_CUDA_CONV_ROWS_CUH
#define LNGD_BACKEND_CUDA_CONV_ROWS_CUH

#include "backend/backend.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {

// Division of numbers below 2^31 by one that is known at the launch: a multiplication (Granlund and Montgomery, PLDI
// 1994).
struct Divisor {
  uint32_t divisor = 1, factor = 1, shift = 0;

  Divisor() = default;
  explicit Divisor(int64_t d) : divisor(static_cast<uint32_t>(d)) {
    while ((uint64_t{1} << shift) < divisor) ++shift;
    factor = static_cast<uint32_t>((((uint64_t{1} << shift) - divisor) << 32) / divisor + 1);
  }
  __device__ __forceinline__ int32_t divide(int32_t n) const {
    const uint32_t x = static_cast<uint32_t>(n);
    return static_cast<int32_t>((__umulhi(factor, x) + x) >> shift);
  }
  __device__ __forceinline__ int32_t remainder(int32_t n, int32_t quotient) const {
    return n - quotient * static_cast<int32_t>(divisor);
  }
};

// Where an output position and its patch lie.
struct ConvPosition {
  int32_t sample, oy, ox;
};

struct ConvRows {
  ConvGeometry geometry;
  Divisor positions, out_width;
  int32_t height, width; // of the input
  int32_t rows;          // samples x positions

  ConvRows() = default;
  ConvRows(const ConvGeometry& g, const Activations& inputs, int64_t samples)
      : geometry(g.at(inputs.height, inputs.width)),
        positions(g.positions(0, inputs.height) * g.positions(1, inputs.width)),
        out_width(g.positions(1, inputs.width)),
        height(inputs.height),
        width(inputs.width),
        rows(static_cast<int32_t>(samples * positions.divisor)) {}

  __device__ __forceinline__ ConvPosition position(int32_t row) const {
    ConvPosition p;
    p.sample = positions.divide(row);
    const int32_t at = positions.remainder(row, p.sample);
    p.oy = out_width.divide(at);
    p.ox = out_width.remainder(at, p.oy);
    return p;
  }
  // The patch's corner in the input; outside of it where there is padding.
  __device__ __forceinline__ int32_t top(const ConvPosition& p) const {
    return p.oy * geometry.stride[0] - geometry.before[0];
  }
  __device__ __forceinline__ int32_t left(const ConvPosition& p) const {
    return p.ox * geometry.stride[1] - geometry.before[1];
  }
  __device__ __forceinline__ bool inside(int32_t y, int32_t x) const {
    return static_cast<uint32_t>(y) < static_cast<uint32_t>(height) &&
           static_cast<uint32_t>(x) < static_cast<uint32_t>(width);
  }
};

} // namespace lngd::cuda
#endif
