// SPDX-License-Identifier: Apache-2.0
// Phi += the patches of a chunk of a convolution, by panels of rows. Three ways to give threads something to do; the
// order of the sums, and so every bit, is the same:
//
//   blocks for every thread     each thread packs and multiplies whole diagonal blocks (block_a_thread)
//   few columns (a first layer) each thread takes whole panels, and the products are added one after the other
//   else                        all threads pack the strips of a panel, then share its product
//
// The first two keep what a thread has packed in that core's cache.
#ifndef LNGD_BACKEND_CPU_KERNELS_CONV_PATCHES_H
#define LNGD_BACKEND_CPU_KERNELS_CONV_PATCHES_H

#include "backend/cpu/kernels/conv_images.h"
#include "backend/cpu/kernels/packed_syrk.h"
#include "backend/cpu/kernels/transpose.h"

namespace lngd::cpu::LNGD_ISA {

// A chunk, the rows of which are to be added.
struct PatchRows {
  CpuContext& context;
  const ConvStatisticsArgs& args;
  const ConvTiles& tiles;
  const ConvChunk& chunk;
  const float* weights; // sqrt(r) of the rows, groups x padded(chunk_rows()); nullptr: unweighted

  const BlockLayout& blocks() const { return args.shape->blocks; }
  int64_t panels() const { return (chunk.rows + tiles.panel_rows - 1) / tiles.panel_rows; }

  // The panel number `index`; list: room for the runs of tiles.panel_rows rows.
  PanelSource panel(int64_t index, ConvRun* list) const {
    const ConvImage image =
        image_of(context, *args.shape, args.inputs, tiles, chunk.first, 0, chunk.first / tiles.bands);
    const int64_t row = index * tiles.panel_rows, rows = std::min(tiles.panel_rows, chunk.rows - row);
    const int64_t runs = make_runs(context, *args.shape, args.inputs, tiles, chunk, row, row + rows, true, list,
                                   [](int64_t k) { return k; });
    return {tiles,
            image.channel,
            image.row,
            image.phase,
            list,
            runs,
            rows,
            weights ? weights + row : nullptr,
            padded(tiles.chunk_rows())};
  }
};

// Strip `strip` of the panel: its patch elements are gathered as runs of neighbouring positions, kVectorFloats elements
// at a time, and transposed into the order of packed_syrk.h. gathered: kVectorFloats rows of tiles.panel_ld().
inline void pack_patches(const LayerShape& shape, const PanelSource& source, const PackedPanel& panel, int64_t strip,
                         float* gathered) {
  const BlockLayout& blocks = shape.blocks;
  const int64_t k = strip / strips(blocks.block), g = blocks.group(k), ld = source.tiles.panel_ld();
  const int64_t begin = (strip - first_strip(blocks, k)) * kTileColumns, size = blocks.size(k);
  for (int64_t column = 0; column < kTileColumns; column += kVectorFloats) {
    for (int64_t i = 0; i < kVectorFloats; ++i) {
      const int64_t element = begin + column + i;
      float* const out = gathered + i * ld;
      if (element < size)
        fill_element(shape, source, g, blocks.begin(k) + element, out);
      else
        for (int64_t n = 0; n < source.rows; ++n) out[n] = 0;
    }
    transpose_rows(gathered, ld, source.rows, panel.strip(strip) + column, kTileColumns);
  }
}

// Block k of a panel, packed and multiplied by one worker.
inline void add_own_block(const PatchRows& of, const PanelSource& source, int64_t k, int32_t worker, float* phi_sum) {
  CpuContext& context = of.context;
  const PackedPanel panel = own_panel(context, of.blocks(), k, of.tiles.panel_rows, source.rows, worker);
  for (int64_t strip = 0; strip * kTileColumns < of.blocks().size(k); ++strip)
    pack_patches(*of.args.shape, source, panel, panel.first + strip,
                 context.conv.rows[static_cast<size_t>(worker)].data());
  add_block(of.blocks(), k, panel, phi_sum);
}

inline double syrk_work(const BlockLayout& blocks, int64_t rows) {
  return static_cast<double>(rows) * static_cast<double>(blocks.count() * blocks.block * blocks.block);
}

inline void add_by_blocks(const PatchRows& of) {
  const BlockLayout& blocks = of.blocks();
  for (int64_t index = 0; index < of.panels(); ++index) {
    const PanelSource source = of.panel(index, of.context.conv.runs.data());
    of.context.pool.parallel_for(blocks.count(), syrk_work(blocks, source.rows), [&](int64_t k, int32_t worker) {
      add_own_block(of, source, k, worker, of.args.memory->phi_sum);
    });
  }
}

inline void add_by_panels(const PatchRows& of) {
  CpuContext& context = of.context;
  const BlockLayout& blocks = of.blocks();
  const int64_t floats = blocks.floats(), at_once = panels_at_once(context.pool.threads());
  float* const products = context.conv.product.data();
  for (int64_t first = 0; first < of.panels(); first += at_once) {
    const int64_t count = std::min(at_once, of.panels() - first);
    const double work = syrk_work(blocks, count * of.tiles.panel_rows);
    context.pool.parallel_for(count, work, [&](int64_t task, int32_t worker) {
      float* const product = products + task * floats;
      for (int64_t i = 0; i < floats; ++i) product[i] = 0;
      const PanelSource source = of.panel(first + task, context.conv.runs.data() + worker * of.tiles.panel_rows);
      for (int64_t k = 0; k < blocks.count(); ++k) add_own_block(of, source, k, worker, product);
    });
    for (int64_t task = 0; task < count; ++task) {
      const float* const product = products + task * floats;
      float* const sum = of.args.memory->phi_sum;
#pragma omp simd
      for (int64_t i = 0; i < floats; ++i) sum[i] += product[i];
    }
  }
}

inline void add_by_strips(const PatchRows& of) {
  CpuContext& context = of.context;
  const BlockLayout& blocks = of.blocks();
  const int64_t per_block = strips(blocks.block);
  const int64_t step = std::max<int64_t>(1, of.tiles.strip_rows / kTileColumns / per_block); // blocks at once
  for (int64_t index = 0; index < of.panels(); ++index) {
    const PanelSource source = of.panel(index, context.conv.runs.data());
    for (int64_t first = 0, last; first < blocks.count(); first = last) {
      last = std::min(blocks.count(), first + step);
      const PackedPanel panel{context.panel.data(), of.tiles.panel_rows, source.rows, first_strip(blocks, first)};
      // A quarter of a nanosecond an element.
      const double work = 12.0 * static_cast<double>((last - first) * blocks.block * source.rows);
      context.pool.parallel_for((last - first) * per_block, work, [&](int64_t task, int32_t worker) {
        if (task % per_block * kTileColumns < blocks.size(first + task / per_block))
          pack_patches(*of.args.shape, source, panel, panel.first + task,
                       context.conv.rows[static_cast<size_t>(worker)].data());
      });
      add_packed(context, blocks, first, last, panel, of.args.memory->phi_sum);
    }
  }
}

// weights: see PatchRows.
inline void add_patches(CpuContext& context, const ConvStatisticsArgs& args, const ConvTiles& tiles,
                        const ConvChunk& chunk, const float* weights) {
  const PatchRows of{context, args, tiles, chunk, weights};
  if (block_a_thread(of.blocks(), context.pool.threads())) return add_by_blocks(of);
  if (panel_a_thread(of.blocks(), context.pool.threads())) return add_by_panels(of);
  add_by_strips(of);
}

} // namespace lngd::cpu::LNGD_ISA
#endif
