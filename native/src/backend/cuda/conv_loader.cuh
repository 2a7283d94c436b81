// SPDX-License-Identifier: Apache-2.0
// Implicit im2col: where element j of the patch of a row lies, for the kernels that have patches as an operand
// (conv_statistics and rate_projection).
#ifndef LNGD_BACKEND_CUDA_CONV_LOADER_CUH
#define LNGD_BACKEND_CUDA_CONV_LOADER_CUH

#include "backend/cuda/conv_rows.cuh"
#include "backend/cuda/syrk_load.cuh"

namespace lngd::cuda {

// Patches as rows of an operand.
struct ConvLoader {
  static constexpr bool kPlaces = true;
  using Row = SyrkRow;
  const float* data;
  int64_t stride[4];
  ConvRows conv;
  int32_t inputs, channels; // of a group
  bool by_rows, reorder;
  bool aligned; // channels lie side by side, and four that begin with a multiple of 4 are 16 bytes at once
  bool whole;   // and columns are channels: four columns that begin with a multiple of 4 are such four

  __device__ __forceinline__ bool quads(int column) const { return whole && column % 4 == 0; }
  __device__ __forceinline__ SyrkColumn column(int group, int j) const {
    const int across = conv.geometry.kernel[1], taps = conv.geometry.kernel[0] * across;
    const int y = j % taps / across * conv.geometry.dilation[0], x = j % across * conv.geometry.dilation[1];
    return {(int64_t{group} * channels + j / taps) * stride[1] + y * stride[2] + x * stride[3], y, x};
  }
  __device__ __forceinline__ SyrkRow row(int64_t n) const {
    if (n >= conv.rows) return {data, INT32_MIN, INT32_MIN};
    const ConvPosition p = conv.position(static_cast<int32_t>(n));
    const int top = conv.top(p), left = conv.left(p);
    return {data + (p.sample * stride[0] + top * stride[2] + left * stride[3]), top, left};
  }
  __device__ __forceinline__ bool inside(const SyrkRow& row, const SyrkColumn& column) const {
    return conv.inside(row.y + column.y, row.x + column.x);
  }
  __device__ __forceinline__ const float* address(const SyrkRow& row, const SyrkColumn& column) const {
    return inside(row, column) ? row.base + column.offset : nullptr;
  }

  // The columns of a tile by kernel element and channel, as the channels-last layout has them: quads of channels first.
  // A block of the factor has its columns by channel and kernel element, so of each element the channels of a tile are
  // a range; what is left of it before and behind the quads goes one by one.
  struct Places {
    int32_t taps, offset, first, end; // offset: the group's first channel
    bool aligned;
    int32_t quads; // of all elements

    struct Range {
      int32_t begin, end, first, last; // channels; of its quads
    };
    __device__ __forceinline__ Range range(int tap) const {
      Range r;
      r.begin = (first - tap + taps - 1) / taps;
      r.end = (end - tap + taps - 1) / taps;
      r.first = (r.begin + offset + 3) / 4 * 4 - offset;
      r.last = (r.end + offset) / 4 * 4 - offset;
      if (!aligned || r.last < r.first) r.first = r.last = r.begin;
      return r;
    }
    __device__ SyrkPlace of(int j) const {
      const int tap = j % taps, channel = j / taps;
      int quads_before = 0, before = 0; // in the elements before: quads, channels
      for (int t = 0; t < tap; ++t) {
        const Range r = range(t);
        quads_before += (r.last - r.first) / 4;
        before += r.end - r.begin;
      }
      const Range r = range(tap);
      if (channel >= r.first && channel < r.last) {
        const int at = 4 * quads_before + channel - r.first;
        return {at, at / 4, at % 4 == 0};
      }
      const int single = before - 4 * quads_before + channel - r.begin - (channel < r.first ? 0 : r.last - r.first);
      return {4 * quads + single, quads + single, true};
    }
  };
  __device__ __forceinline__ bool moves() const { return reorder; }
  __device__ Places places(int group, int first, int count) const {
    Places p{conv.geometry.kernel[0] * conv.geometry.kernel[1], group * channels, first, first + count, aligned, 0};
    for (int tap = 0; tap < p.taps; ++tap) {
      const Places::Range r = p.range(tap);
      p.quads += (r.last - r.first) / 4;
    }
    return p;
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
  loader.reorder = a.stride[1] == 1 && taps > 1 && loader.channels > 1;
  loader.aligned = a.stride[1] == 1 && a.stride[0] % 4 == 0 && a.stride[2] % 4 == 0 && a.stride[3] % 4 == 0 &&
                   reinterpret_cast<uintptr_t>(a.data) % 16 == 0;
  loader.whole = loader.aligned && taps == 1 && (shape.groups == 1 || loader.channels % 4 == 0);
  return loader;
}

} // namespace lngd::cuda
#endif
