// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/conv_tiles.h"

#include <cstdio>
#include <new>

namespace lngd::cpu {
namespace {

constexpr int64_t kUnitFloats = int64_t{1} << 16;  // of a unit's image, squares and weights: a quarter of a megabyte
constexpr int64_t kChunkFloats = int64_t{1} << 19; // of a chunk: two megabytes
constexpr int64_t kChunkUnits = 64;
constexpr int64_t kPanelFloats = int64_t{1} << 18; // a megabyte
constexpr int64_t kStripRows = 512;
constexpr double kImpossible = 1e15; // floats; beyond it the sizes below could overflow

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Rows of the image of a band of that many output rows.
int64_t image_extent(const LayerShape& shape, int axis, int64_t step, int64_t positions) {
  return (positions - 1) * step + shape.conv.dilation[axis] * (int64_t{shape.conv.kernel[axis]} - 1) + 1;
}

bool make_tiles(const LayerShape& shape, const Activations& inputs, int64_t samples, int32_t threads, ConvUse use,
                ConvTiles& t) {
  const ConvGeometry conv = shape.conv.at(inputs.height, inputs.width);
  t.out_height = conv.positions(0, inputs.height);
  t.out_width = conv.positions(1, inputs.width);
  t.positions = t.out_height * t.out_width;
  t.taps = int64_t{conv.kernel[0]} * conv.kernel[1];
  t.channels = shape.inputs / t.taps;
  for (int axis = 0; axis < 2; ++axis) {
    t.take[axis] = conv.kernel[axis] == 1 ? conv.stride[axis] : 1;
    t.step[axis] = conv.stride[axis] / t.take[axis];
  }
  const int64_t width = image_extent(shape, 1, t.step[1], t.out_width);
  t.columns = ceil_div(width, t.phases());
  t.direct = conv.before[0] == 0 && conv.before[1] == 0 && inputs.stride[3] == 1 && conv.stride[1] == 1 &&
             width <= inputs.width && (image_extent(shape, 0, t.step[0], t.out_height) - 1) * t.take[0] < inputs.height;

  const int64_t all_channels = shape.groups * t.channels;
  const auto unit_floats = [&](int64_t output_rows) {
    const double rows = static_cast<double>(image_extent(shape, 0, t.step[0], output_rows));
    const double line = static_cast<double>(t.phases()) * static_cast<double>(t.columns);
    const double image = t.direct ? 0.0 : static_cast<double>(all_channels) * rows * line;
    if (use == ConvUse::kRate) return image;
    return image + static_cast<double>(shape.groups) *
                       (2.0 * rows * line + static_cast<double>(output_rows) * static_cast<double>(t.out_width));
  };
  // As many output rows as fit: the cost of a unit grows with them.
  int64_t fitting = t.out_height;
  while (fitting > 1 && unit_floats(fitting) > static_cast<double>(kUnitFloats)) fitting = (fitting + 1) / 2;
  if (unit_floats(fitting) > kImpossible) return false;
  t.bands = ceil_div(t.out_height, fitting);
  t.band_rows = ceil_div(t.out_height, t.bands);
  t.bands = ceil_div(t.out_height, t.band_rows);
  t.rows = image_extent(shape, 0, t.step[0], t.band_rows);
  t.image_floats = t.direct ? 0 : padded(all_channels * t.rows * t.phases() * t.columns);
  t.square_count = t.rows * t.phases() * t.columns;

  const int64_t total = samples * t.bands;
  const int64_t floats = std::max<int64_t>(1, static_cast<int64_t>(unit_floats(t.band_rows)));
  const int64_t most = std::min(total, std::max<int64_t>(threads, std::min(kChunkUnits, kChunkFloats / floats)));
  t.units = ceil_div(total, ceil_div(total, most)); // chunks of one size

  // Full panels go best through a SYRK or GEMM; less than 64 positions only where there are no more.
  t.strip_rows = std::min(kStripRows, shape.groups * shape.d);
  int64_t rows = 0;
  if (use == ConvUse::kRate) {
    rows = std::clamp<int64_t>(kPanelFloats / std::max(t.strip_rows, shape.outputs / shape.groups), 64, 2048);
  } else {
    // Whole strips of the widest (packed_syrk.h); 256 rows of one stay in the first-level cache.
    t.strip_rows = ceil_div(std::max(t.strip_rows, shape.blocks.block), 32) * 32;
    rows = std::clamp<int64_t>(kPanelFloats / 2 / t.strip_rows, 256, 1024);
    if (block_a_thread(shape.blocks, threads) || panel_a_thread(shape.blocks, threads))
      t.strip_rows = std::max(t.strip_rows, threads * ceil_div(shape.blocks.block, 32) * 32);
  }
  t.panel_rows = std::min(padded(t.chunk_rows()), rows / 16 * 16);
  return true;
}

template <typename T>
void grow(std::vector<T>& values, int64_t count) {
  if (static_cast<int64_t>(values.size()) < count) values.resize(static_cast<size_t>(count));
}

bool make_room(CpuContext& context, const LayerShape& shape, int64_t samples, ConvUse use, const ConvTiles& t) {
  ConvWorkspace& w = context.conv;
  // Strips have a cache line between them: most of the narrowest, 8 columns.
  const int64_t between = use == ConvUse::kRate ? 0 : t.strip_rows / 8 * kRowAlign;
  if (!context.panel.reserve(t.strip_rows * t.panel_ld() + between) || !w.images.reserve(t.units * t.image_floats))
    return false;
  grow(w.runs, t.panel_rows);
  if (use == ConvUse::kRate) {
    const int64_t group_rows = shape.outputs / shape.groups;
    grow(w.partial, ceil_div(group_rows, kConvRateTile) * t.panel_rows);
    grow(w.projections, samples);
    return w.product.reserve(group_rows * t.panel_ld());
  }
  const int32_t threads = context.pool.threads();
  if (panel_a_thread(shape.blocks, threads)) {
    grow(w.runs, threads * t.panel_rows);
    if (!w.product.reserve(panels_at_once(threads) * shape.blocks.floats())) return false;
  }
  const int64_t factors = shape.second_matrix() ? 2 : 1;
  if (!w.weights.reserve(factors * shape.groups * padded(t.chunk_rows()))) return false;
  if (shape.second_matrix() && !context.second_panel.reserve(second_rows(shape.outputs) * padded(shape.outputs)))
    return false;
  grow(w.squares, t.units * shape.groups * t.square_count);
  grow(w.psi, t.units * shape.outputs);
  grow(w.denominator, t.units * shape.groups * (shape.second_matrix() ? 3 : 1));
  w.rows.resize(static_cast<size_t>(context.pool.threads()));
  // See UnitWork: 2 numbers a row and group, 5 a row; a block of signal rows, eps, q, psi. See pack_patches: as many
  // rows of a panel as a vector has elements, at most 16.
  const int64_t unit = padded(t.band_rows * t.out_width) * (2 * shape.groups + 5);
  const int64_t floats = std::max(unit + kRowTask * signal_ld(shape) + 3 * padded(shape.outputs), 16 * t.panel_ld());
  for (Scratch& scratch : w.rows)
    if (!scratch.reserve(floats)) return false;
  return true;
}

} // namespace

bool reserve_conv(CpuContext& context, const LayerShape& shape, const Activations& inputs, int64_t samples, ConvUse use,
                  ConvTiles& tiles) {
  bool ok = make_tiles(shape, inputs, samples, context.pool.threads(), use, tiles);
  try {
    ok = ok && make_room(context, shape, samples, use, tiles);
  } catch (const std::bad_alloc&) {
    ok = false;
  }
  if (!ok && context.failure.status == LNGD_OK) {
    context.failure.status = LNGD_OUT_OF_MEMORY;
    std::snprintf(context.failure.message, sizeof context.failure.message,
                  "no memory for the workspaces of layer %d, a convolution, with images of %d x %d", shape.index,
                  inputs.height, inputs.width);
  }
  return ok;
}

int64_t conv_bytes(const ConvWorkspace& w) {
  int64_t floats = w.images.floats() + w.weights.floats() + w.product.floats();
  for (const Scratch& scratch : w.rows) floats += scratch.floats();
  const size_t doubles =
      w.squares.size() + w.psi.size() + w.denominator.size() + w.partial.size() + w.projections.size();
  return floats * static_cast<int64_t>(sizeof(float)) +
         static_cast<int64_t>(doubles * sizeof(double) + w.runs.size() * sizeof(ConvRun));
}

} // namespace lngd::cpu
