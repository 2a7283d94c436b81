// SPDX-License-Identifier: Apache-2.0
// Rows and patches of the units of a convolution: what its statistics share, whatever the approximation.
#ifndef LNGD_BACKEND_CPU_KERNELS_CONV_ROWS_H
#define LNGD_BACKEND_CPU_KERNELS_CONV_ROWS_H

#include <utility>

#include "backend/cpu/kernels/conv_images.h"
#include "backend/cpu/kernels/packed_syrk.h"
#include "backend/cpu/kernels/transpose.h"

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

// Strip `strip` of the panel: its patch elements are gathered as runs of neighbouring positions, kVectorFloats elements
// at a time, and transposed into the order of packed_syrk.h. gathered: kVectorFloats rows of tiles.panel_ld().
inline void pack_patches(CpuContext& context, const LayerShape& shape, const PanelSource& source,
                         const PackedPanel& panel, int64_t strip, float* gathered) {
  const BlockLayout& blocks = shape.blocks;
  const int64_t k = strip / strips(blocks.block), g = blocks.group(k), ld = source.tiles.panel_ld();
  const int64_t begin = (strip - first_strip(blocks, k)) * kTileColumns, size = blocks.size(k);
  for (int64_t column = 0; column < kTileColumns; column += kVectorFloats) {
    for (int64_t i = 0; i < kVectorFloats; ++i) {
      const int64_t element = begin + column + i;
      float* const out = gathered + i * ld;
      if (element < size)
        fill_element(context, shape, source, g, blocks.begin(k) + element, out);
      else
        for (int64_t n = 0; n < source.rows; ++n) out[n] = 0;
    }
    transpose_rows(gathered, ld, source.rows, panel.strip(strip) + column, kTileColumns);
  }
}

// Phi += the patches of a chunk, by panels of rows and runs of diagonal blocks. weights: sqrt(r) of the rows of the
// chunk, groups x padded(chunk_rows()); nullptr: unweighted.
inline void add_patches(CpuContext& context, const ConvStatisticsArgs& args, const ConvTiles& tiles,
                        const ConvChunk& chunk, const float* weights) {
  const LayerShape& shape = *args.shape;
  const BlockLayout& blocks = shape.blocks;
  const ConvImage image = image_of(context, shape, args.inputs, tiles, chunk.first, 0, chunk.first / tiles.bands);
  const int64_t per_block = strips(blocks.block);
  const int64_t step = std::max<int64_t>(1, tiles.strip_rows / kTileColumns / per_block); // blocks at once
  for (int64_t row = 0; row < chunk.rows; row += tiles.panel_rows) {
    const int64_t rows = std::min(tiles.panel_rows, chunk.rows - row);
    const int64_t runs =
        make_runs(context, shape, args.inputs, tiles, chunk, row, row + rows, true, [](int64_t k) { return k; });
    const PanelSource source{tiles,
                             image.channel,
                             image.row,
                             image.phase,
                             runs,
                             rows,
                             weights ? weights + row : nullptr,
                             padded(tiles.chunk_rows())};
    if (block_a_thread(blocks, context.pool.threads())) {
      const double work = static_cast<double>(rows) * static_cast<double>(blocks.count() * blocks.block * blocks.block);
      context.pool.parallel_for(blocks.count(), work, [&](int64_t k, int32_t worker) {
        const PackedPanel panel = own_panel(context, blocks, k, tiles.panel_rows, rows, worker);
        for (int64_t strip = 0; strip * kTileColumns < blocks.size(k); ++strip)
          pack_patches(context, shape, source, panel, panel.first + strip,
                       context.conv.rows[static_cast<size_t>(worker)].data());
        add_block(blocks, k, panel, args.memory->phi_sum);
      });
      continue;
    }
    for (int64_t first = 0, last; first < blocks.count(); first = last) {
      last = std::min(blocks.count(), first + step);
      const PackedPanel panel{context.panel.data(), tiles.panel_rows, rows, first_strip(blocks, first)};
      // A quarter of a nanosecond an element.
      const double work = 12.0 * static_cast<double>((last - first) * blocks.block * rows);
      context.pool.parallel_for((last - first) * per_block, work, [&](int64_t task, int32_t worker) {
        const int64_t strip = panel.first + task, k = first + task / per_block;
        if (task % per_block * kTileColumns < blocks.size(k))
          pack_patches(context, shape, source, panel, strip, context.conv.rows[static_cast<size_t>(worker)].data());
      });
      add_packed(context, blocks, first, last, panel, args.memory->phi_sum);
    }
  }
}

} // namespace lngd::cpu::LNGD_ISA
#endif
