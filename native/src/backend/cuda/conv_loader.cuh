// SPDX-License-Identifier: Apache-2.0
// Implicit im2col: where element j of the patch of a row lies, for the kernels that have patches as an operand
// (conv_statistics and rate_projection).
#ifndef LNGD_BACKEND_CUDA_CONV_LOADER_CUH
#define LNGD_BACKEND_CUDA_CONV_LOADER_CUH

#include "backend/cuda/conv_rows.cuh"
#include "backend/cuda/syrk_load.cuh"

namespace lngd::cuda {

// Patches as rows of an operand, with the constant 1 of a bias in the last column.
struct ConvLoader {
  static constexpr bool kQuads = true; // for 1 x 1 kernels with the channels side by side
  struct Row {
    int64_t offset; // of the patch's corner
    int32_t top, left;
    bool valid;
  };
  const float* data;
  int64_t stride[4];
  ConvRows conv;
  int32_t inputs, channels; // of a group
  bool by_rows, reorder, aligned;

  __device__ const float* base() const { return data; }
  __device__ bool sorted() const { return reorder; }
  __device__ bool quads(int column) const { return aligned && column % 4 == 0; }
  __device__ SyrkColumn column(int group, int j) const {
    if (j >= inputs) return {0, 0, 0, 0, ColumnKind::One};
    const int across = conv.geometry.kernel[1], taps = conv.geometry.kernel[0] * across;
    const int y = j % taps / across * conv.geometry.dilation[0], x = j % across * conv.geometry.dilation[1];
    return {(int64_t{group} * channels + j / taps) * stride[1] + y * stride[2] + x * stride[3], x,
            static_cast<int16_t>(y), 0, ColumnKind::Data};
  }
  __device__ Row row(int /*group*/, int n) const {
    if (n >= conv.rows) return {0, 0, 0, false};
    const ConvPosition p = conv.position(n);
    const int top = conv.top(p), left = conv.left(p);
    return {p.sample * stride[0] + top * stride[2] + left * stride[3], top, left, true};
  }
  __device__ const float* address(const Row& row, const SyrkColumn& column) const {
    return conv.inside(row.top + column.y, row.left + column.x) ? data + (row.offset + column.offset) : nullptr;
  }
};

inline ConvLoader conv_loader(const LayerShape& shape, const Activations& a, const ConvRows& rows) {
  const ConvGeometry& g = shape.conv;
  const int taps = g.kernel[0] * g.kernel[1];
  ConvLoader loader{};
  loader.data = a.data;
  for (int i = 0; i < 4; ++i) loader.stride[i] = a.stride[i];
  loader.conv = rows;
  loader.inputs = static_cast<int32_t>(shape.inputs);
  loader.channels = loader.inputs / taps;
  loader.by_rows = a.stride[1] != 1;
  loader.reorder = a.stride[1] == 1 && taps > 1;
  loader.aligned = a.stride[1] == 1 && taps == 1 && a.stride[0] % 4 == 0 && a.stride[2] % 4 == 0 &&
                   a.stride[3] % 4 == 0 && reinterpret_cast<uintptr_t>(a.data) % 16 == 0 &&
                   (shape.groups == 1 || loader.channels % 4 == 0);
  return loader;
}

} // namespace lngd::cuda
#endif
