// SPDX-License-Identifier: Apache-2.0
// How the CPU kernels cut the images of a convolution. A sample's output rows are cut into bands; a unit is one band of
// one sample; some units make a chunk. For every unit of a chunk the part of the image that its patches touch is copied
// once, with its zero padding, so that the patches of neighbouring positions are contiguous runs of it, without any
// test for the border. The copy is as large as the input, that is 1 / (kernel height x kernel width) of the patches.
//
// Patches themselves exist in panels of about a megabyte only: `strip_rows` patch elements x `panel_rows` positions.
#ifndef LNGD_BACKEND_CPU_CONV_TILES_H
#define LNGD_BACKEND_CPU_CONV_TILES_H

#include "backend/cpu/context.h"

namespace lngd::cpu {

struct ConvTiles {
  // Of a sample.
  int64_t out_height, out_width, positions;
  int64_t bands, band_rows; // the last band may have fewer output rows
  int64_t channels;         // of a group
  int64_t taps;             // kernel height x width

  // The image of a band, in image elements. Along an axis on which the kernel has one element only every stride-th
  // input is taken. Columns are stored by their remainder modulo the stride (phase), so that neighbouring positions are
  // neighbours in memory for any stride.
  bool direct;           // patches are read from the caller's memory: nothing to pad, rows contiguous
  int64_t take[2];       // inputs between neighbours of the image
  int64_t step[2];       // image elements between neighbouring positions
  int64_t rows, columns; // columns: of one phase
  int64_t image_floats;  // all channels; 0 if direct
  int64_t square_count;  // of one group

  int64_t units;      // most units in a chunk
  int64_t panel_rows; // positions in a panel
  int64_t strip_rows; // patch elements in a panel, unless one diagonal block is larger (statistics: whole strips)

  int64_t phases() const { return step[1]; }
  int64_t panel_ld() const { return panel_rows + kRowAlign; } // not a power of two: rows would share cache sets
  int64_t unit_first(int64_t unit) const { return unit / bands * positions + unit % bands * band_rows * out_width; }
  int64_t unit_rows(int64_t unit) const {
    return std::min(band_rows, out_height - unit % bands * band_rows) * out_width;
  }
  int64_t chunk_rows() const { return units * band_rows * out_width; }
};

// A run of units, and so of rows, of a batch.
struct ConvChunk {
  int64_t first, count;    // units
  int64_t first_row, rows; // counted over the batch
};

enum class ConvUse { kStatistics, kRate };

constexpr int64_t kConvRateTile = 64; // outputs of one product of the rate
// Leading dimension of a block of signal rows: again not a power of two.
inline int64_t signal_ld(const LayerShape& shape) { return padded(shape.outputs) + kRowAlign; }

// Tiles for these inputs, with room for them in the context. False, with the failure recorded in the context, when
// memory runs out. samples: of the batch, or of the subsample of the rate.
bool reserve_conv(CpuContext& context, const LayerShape& shape, const Activations& inputs, int64_t samples, ConvUse use,
                  ConvTiles& tiles);

int64_t conv_bytes(const ConvWorkspace& workspace);

} // namespace lngd::cpu
#endif
