// SPDX-License-Identifier: Apache-2.0
// Rows of the units of a convolution: what its statistics share, whatever the approximation.
#ifndef LNGD_BACKEND_CPU_KERNELS_CONV_ROWS_H
#define LNGD_BACKEND_CPU_KERNELS_CONV_ROWS_H

#include <utility>

#include "backend/cpu/kernels/conv_images.h"

namespace lngd::cpu::LNGD_ISA {

// squares (group, row, phase, column) = sum over the channels of the group of the image's squares, in the first `rows`
// rows: the caller's memory may end there.
inline void sum_squares(const LayerShape& shape, const ConvTiles& tiles, const ConvImage& image, int64_t rows,
                        double* squares) {
  constexpr int64_t kRun = 512; // doubles of the sum that stay in the first-level cache
  const int64_t row_length = tiles.phases() * tiles.columns;
  const bool plane = image.row == row_length; // the rows of a channel are one run
  const int64_t lines = plane ? 1 : rows, length = plane ? rows * row_length : row_length;
  for (int64_t g = 0; g < shape.groups; ++g, squares += tiles.square_count)
    for (int64_t line = 0; line < lines; ++line)
      for (int64_t first = 0; first < length; first += kRun) {
        const int64_t count = std::min(kRun, length - first);
        double* const to = squares + line * length + first;
        const caller_float* from = image.data + g * tiles.channels * image.channel + line * image.row + first;
        for (int64_t q = 0; q < count; ++q) to[q] = 0;
        for (int64_t c = 0; c < tiles.channels; ++c, from += image.channel) {
#pragma omp simd
          for (int64_t q = 0; q < count; ++q) to[q] += static_cast<double>(from[q]) * from[q];
        }
      }
}

// c of all rows of a unit, group by group: kernel height x width sums of the squares.
inline void patch_squares(const LayerShape& shape, const ConvTiles& tiles, const double* squares, int64_t rows,
                          double* c) {
  for (int64_t g = 0; g < shape.groups; ++g, squares += tiles.square_count)
    for (int64_t first = 0; first < rows; first += tiles.out_width, c += tiles.out_width) {
      const double* const line = squares + first / tiles.out_width * tiles.step[0] * tiles.phases() * tiles.columns;
      for (int64_t x = 0; x < tiles.out_width; ++x) c[x] = shape.bias ? 1.0 : 0.0;
      for (int64_t tap = 0; tap < tiles.taps; ++tap) {
        const double* const from =
            line + tap_offset(tiles, shape.conv, tap, tiles.phases() * tiles.columns, tiles.columns);
#pragma omp simd
        for (int64_t x = 0; x < tiles.out_width; ++x) c[x] += from[x];
      }
    }
}

// x (rows x ld) = the signal of `rows` positions from `first` on of sample n.
inline void gather_signal(const ConvStatisticsArgs& args, const ConvTiles& tiles, int64_t n, int64_t first,
                          int64_t rows, float* x, int64_t ld) {
  const Activations& signal = args.signal;
  const int64_t m = args.shape->outputs;
  for (int64_t done = 0; done < rows;) {
    const int64_t y = (first + done) / tiles.out_width, column = (first + done) % tiles.out_width;
    const int64_t run = std::min(rows - done, tiles.out_width - column);
    const caller_float* const from = at(signal, n, 0, y, column);
    float* const to = x + done * ld;
    if (signal.stride[1] == 1) {
      for (int64_t t = 0; t < run; ++t) {
#pragma omp simd
        for (int64_t i = 0; i < m; ++i) to[t * ld + i] = from[t * signal.stride[3] + i];
      }
    } else {
      // Both sides stay in the first-level cache: a line of each of 32 rows, a line of one channel.
      for (int64_t i = 0; i < m; ++i)
        for (int64_t t = 0; t < run; ++t) to[t * ld + i] = from[i * signal.stride[1] + t * signal.stride[3]];
    }
    done += run;
  }
}

// What one worker has while it works on a unit.
struct UnitWork {
  double* c;      // groups x rows of the unit
  double* r;      // rows
  float* c_float; // rows
  float* r_float; // rows
  float* q;       // rows
  float* rows;    // of for_rows; then psi (m) over kRowTask rows
};

inline UnitWork unit_work(CpuContext& context, const LayerShape& shape, const ConvTiles& tiles, int32_t worker) {
  const int64_t rows = padded(tiles.band_rows * tiles.out_width);
  float* at = context.conv.rows[static_cast<size_t>(worker)].data();
  const auto floats = [&at](int64_t count) { return std::exchange(at, at + count); };
  UnitWork work;
  work.c = reinterpret_cast<double*>(floats(2 * shape.groups * rows));
  work.r = reinterpret_cast<double*>(floats(2 * rows));
  work.c_float = floats(rows);
  work.r_float = floats(rows);
  work.q = floats(rows);
  work.rows = at;
  return work;
}

// Image and c of a unit.
inline void prepare_unit(CpuContext& context, const ConvStatisticsArgs& args, const ConvTiles& tiles, int64_t unit,
                         int64_t slot, const UnitWork& work) {
  const LayerShape& shape = *args.shape;
  const int64_t n = unit / tiles.bands, rows = tiles.unit_rows(unit);
  copy_image(context, shape, args.inputs, tiles, unit, slot, n);
  double* const squares = context.conv.squares.data() + slot * shape.groups * tiles.square_count;
  const int64_t lines = tiles.rows - (tiles.band_rows - rows / tiles.out_width) * tiles.step[0];
  sum_squares(shape, tiles, image_of(context, shape, args.inputs, tiles, unit, slot, n), lines, squares);
  patch_squares(shape, tiles, squares, rows, work.c);
}

} // namespace lngd::cpu::LNGD_ISA
#endif
