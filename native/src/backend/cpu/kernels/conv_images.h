// SPDX-License-Identifier: Apache-2.0
// From the images of a convolution to panels of patches: blocked im2col. See conv_tiles.h for bands, units and chunks.
//
// A panel lies with positions side by side: row j holds patch element j = (channel, ky, kx) of all positions of the
// panel. Neighbouring positions then read neighbouring elements of the image, and a row is filled by copying runs of
// it, times a weight for each position. The other order, one patch after another, copies runs of kernel-width elements
// (3) instead of output-width elements (8 to 224).
#ifndef LNGD_BACKEND_CPU_KERNELS_CONV_IMAGES_H
#define LNGD_BACKEND_CPU_KERNELS_CONV_IMAGES_H

#include "backend/cpu/conv_tiles.h"
#include "backend/cpu/kernels/kernels.h"

namespace lngd::cpu::LNGD_ISA {

LNGD_INLINE const caller_float* at(const Activations& view, int64_t n, int64_t c, int64_t y, int64_t x) {
  return reinterpret_cast<const caller_float*>(view.data) + n * view.stride[0] + c * view.stride[1] +
         y * view.stride[2] + x * view.stride[3];
}

// The image of a unit: element (c, row, phase, column).
struct ConvImage {
  const caller_float* data;
  int64_t channel, row, phase; // strides; columns are contiguous
};

// Where unit `unit` of the batch, slot `slot` of its chunk, has its image. n: its sample in the caller's batch.
inline ConvImage image_of(const CpuContext& context, const LayerShape& shape, const Activations& inputs,
                          const ConvTiles& tiles, int64_t unit, int64_t slot, int64_t n) {
  if (!tiles.direct) {
    const caller_float* const data =
        reinterpret_cast<const caller_float*>(context.conv.images.data()) + slot * tiles.image_floats;
    return {data, tiles.square_count, tiles.phases() * tiles.columns, tiles.columns};
  }
  const int64_t y = unit % tiles.bands * tiles.band_rows * shape.conv.stride[0];
  return {at(inputs, n, 0, y, 0), inputs.stride[1], tiles.take[0] * inputs.stride[2], 0};
}

// The columns of one phase of one row of the image; from: input row (nullptr: padding), at the input of column 0.
// Columns outside of [low, high) are padding.
LNGD_INLINE void copy_row(const caller_float* from, int64_t step, int64_t low, int64_t high, int64_t columns,
                          float* to) {
  if (!from) low = high = columns;
  for (int64_t q = 0; q < low; ++q) to[q] = 0;
  if (step == 1) {
#pragma omp simd
    for (int64_t q = low; q < high; ++q) to[q] = from[q];
  } else {
    for (int64_t q = low; q < high; ++q) to[q] = from[q * step];
  }
  for (int64_t q = high; q < columns; ++q) to[q] = 0;
}

// Fills the image of a unit, unless it is the caller's memory.
inline void copy_image(const CpuContext& context, const LayerShape& shape, const Activations& inputs,
                       const ConvTiles& tiles, int64_t unit, int64_t slot, int64_t n) {
  if (tiles.direct) return;
  const ConvGeometry conv = shape.conv.at(inputs.height, inputs.width);
  const int64_t y0 = unit % tiles.bands * tiles.band_rows * conv.stride[0] - conv.before[0];
  for (int64_t phase = 0; phase < tiles.phases(); ++phase) {
    // Column q is input x0 + q jump.
    const int64_t jump = tiles.phases() * tiles.take[1], x0 = phase * tiles.take[1] - conv.before[1];
    const int64_t low = x0 < 0 ? std::min(tiles.columns, (-x0 + jump - 1) / jump) : 0;
    const int64_t inside = x0 < inputs.width ? (inputs.width - x0 + jump - 1) / jump : 0;
    const int64_t high = std::max(low, std::min(tiles.columns, inside));
    float* to = context.conv.images.data() + slot * tiles.image_floats + phase * tiles.columns;
    for (int64_t c = 0; c < shape.groups * tiles.channels; ++c)
      for (int64_t row = 0; row < tiles.rows; ++row, to += tiles.phases() * tiles.columns) {
        const int64_t y = y0 + row * tiles.take[0];
        const caller_float* const from = y >= 0 && y < inputs.height ? at(inputs, n, c, y, x0) : nullptr;
        copy_row(from, jump * inputs.stride[3], low, high, tiles.columns, to);
      }
  }
}

// Offset in the image of tap (ky, kx) against the first element of a patch.
LNGD_INLINE int64_t tap_offset(const ConvTiles& tiles, const ConvGeometry& conv, int64_t tap, int64_t row,
                               int64_t phase) {
  const int64_t y = tap / conv.kernel[1] * conv.dilation[0], x = tap % conv.kernel[1] * conv.dilation[1];
  return y * row + x % tiles.phases() * phase + x / tiles.phases();
}

inline ConvChunk chunk_of(const ConvTiles& tiles, int64_t samples, int64_t first) {
  const int64_t total = samples * tiles.bands, last = std::min(total, first + tiles.units);
  const int64_t row = tiles.unit_first(first);
  return {first, last - first, row, tiles.unit_first(last - 1) + tiles.unit_rows(last - 1) - row};
}

// The runs of rows [row0, row1) of a chunk into `list`, room for as many; returns their number. sample_of(k): the
// caller's sample of unit k / bands. merge: positions of several output rows may be one run where they are contiguous
// in the image.
template <typename SampleOf>
int64_t make_runs(CpuContext& context, const LayerShape& shape, const Activations& inputs, const ConvTiles& tiles,
                  const ConvChunk& chunk, int64_t row0, int64_t row1, bool merge, ConvRun* list, SampleOf sample_of) {
  int64_t count = 0;
  const int64_t begin = chunk.first_row + row0, end = chunk.first_row + row1;
  int64_t unit = begin / tiles.positions * tiles.bands + begin % tiles.positions / (tiles.band_rows * tiles.out_width);
  for (int64_t row = begin; row < end; ++unit) {
    const int64_t k = unit / tiles.bands, first = tiles.unit_first(unit), last = first + tiles.unit_rows(unit);
    const ConvImage image = image_of(context, shape, inputs, tiles, unit, unit - chunk.first, sample_of(k));
    const int64_t pitch = tiles.step[0] * image.row; // between output rows
    const bool merged = merge && pitch == tiles.out_width;
    const int64_t band_y = unit % tiles.bands * tiles.band_rows;
    while (row < std::min(end, last)) {
      const int64_t y = (row - first) / tiles.out_width, x = (row - first) % tiles.out_width;
      const int64_t stop = std::min(end, merged ? last : first + (y + 1) * tiles.out_width);
      list[count++] = {reinterpret_cast<const float*>(image.data + y * pitch + x),
                       static_cast<int32_t>(row - begin),
                       static_cast<int32_t>(stop - row),
                       static_cast<int32_t>(k),
                       static_cast<int32_t>(band_y + y),
                       static_cast<int32_t>(x)};
      row = stop;
    }
  }
  return count;
}

// One row of a panel. Length: of the runs, where it is known, so that short ones become a few vector instructions.
template <int Length>
inline void fill_row(const ConvRun* runs, int64_t count, int64_t offset, const float* weights, float* out) {
  for (int64_t r = 0; r < count; ++r) {
    const ConvRun& run = runs[r];
    const caller_float* const from = reinterpret_cast<const caller_float*>(run.source) + offset;
    float* const to = out + run.column;
    const int64_t length = run.length;
    if (weights) {
      const float* const w = weights + run.column;
      if (Length > 0 && length == Length) {
#pragma omp simd
        for (int64_t i = 0; i < Length; ++i) to[i] = w[i] * from[i];
      } else {
#pragma omp simd
        for (int64_t i = 0; i < length; ++i) to[i] = w[i] * from[i];
      }
    } else if (Length > 0 && length == Length) {
#pragma omp simd
      for (int64_t i = 0; i < Length; ++i) to[i] = from[i];
    } else {
#pragma omp simd
      for (int64_t i = 0; i < length; ++i) to[i] = from[i];
    }
  }
}

inline void fill_row(int64_t length, const ConvRun* runs, int64_t count, int64_t offset, const float* weights,
                     float* out) {
  switch (length) {
    case 4:
      return fill_row<4>(runs, count, offset, weights, out);
    case 7:
      return fill_row<7>(runs, count, offset, weights, out);
    case 8:
      return fill_row<8>(runs, count, offset, weights, out);
    case 14:
      return fill_row<14>(runs, count, offset, weights, out);
    case 16:
      return fill_row<16>(runs, count, offset, weights, out);
    case 28:
      return fill_row<28>(runs, count, offset, weights, out);
    case 32:
      return fill_row<32>(runs, count, offset, weights, out);
    default:
      return fill_row<0>(runs, count, offset, weights, out);
  }
}

struct PanelSource {
  const ConvTiles& tiles;
  int64_t channel, row, phase; // strides of the images
  const ConvRun* list;
  int64_t runs, rows;    // of the panel
  const float* weights;  // first row of the panel, group 0; nullptr: unweighted
  int64_t group_weights; // stride between groups
};

// Patch element j of group g at every position of the panel. The last of a group with bias is the constant 1.
inline void fill_element(const LayerShape& shape, const PanelSource& source, int64_t g, int64_t j, float* out) {
  const ConvTiles& tiles = source.tiles;
  const float* const weights = source.weights ? source.weights + g * source.group_weights : nullptr;
  if (j == shape.inputs) {
    for (int64_t n = 0; n < source.rows; ++n) out[n] = weights ? weights[n] : 1.0f;
    return;
  }
  const int64_t c = g * tiles.channels + j / tiles.taps;
  const int64_t offset = c * source.channel + tap_offset(tiles, shape.conv, j % tiles.taps, source.row, source.phase);
  fill_row(tiles.out_width, source.list, source.runs, offset, weights, out);
}

// Patch elements [first, last) of the panel into its rows 0, 1, ...; element g d + j is j of group g.
inline void fill_panel(CpuContext& context, const LayerShape& shape, const PanelSource& source, int64_t first,
                       int64_t last) {
  constexpr int64_t kSlice = 16;
  const double work = 2.0 * static_cast<double>(last - first) * static_cast<double>(source.rows);
  context.pool.parallel_for((last - first + kSlice - 1) / kSlice, work, [&](int64_t slice, int32_t) {
    const int64_t end = std::min(last, first + (slice + 1) * kSlice);
    for (int64_t element = first + slice * kSlice; element < end; ++element)
      fill_element(shape, source, element / shape.d, element % shape.d,
                   context.panel.data() + (element - first) * source.tiles.panel_ld());
  });
}

} // namespace lngd::cpu::LNGD_ISA
#endif
