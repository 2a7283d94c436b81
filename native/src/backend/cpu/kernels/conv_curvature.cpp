// SPDX-License-Identifier: Apache-2.0
// The EMPIRICAL curvature of a convolution: C = (1/N) sum_n (sum_t delta_nt^T D a_nt)^2, summed over the positions of a
// sample before it is squared.
//
// D a_nt for a panel of positions is a GEMM of D with the panel of patches (conv_images.h), strip by strip of patch
// elements; its result, outputs x positions, is reduced against delta at once.
#include "backend/cpu/kernels/conv_curvature.h"

#include "backend/cpu/kernels/conv_images.h"
#include "backend/cpu/kernels/fisher_row.h" // run_sum

namespace lngd::cpu::LNGD_ISA {
namespace {

// sum over the run's positions and the outputs first .. first + count - 1 of delta times product.
double run_projection(const StepLayer& layer, const ConvRun& run, int64_t sample, int64_t first, int64_t count,
                      const float* product, int64_t ld) {
  const Activations& deltas = layer.conv_deltas;
  const int64_t stride = deltas.stride[3];
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const caller_float* const delta = at(deltas, sample, first + i, run.y, run.x);
    const float* const p = product + i * ld + run.column;
    sum += stride == 1 ? run_sum(run.length, [delta, p](int64_t t) { return delta[t] * p[t]; })
                       : run_sum(run.length, [delta, p, stride](int64_t t) { return delta[t * stride] * p[t]; });
  }
  return sum;
}

// Adds the projections of one panel on the outputs of group g.
template <typename SampleOf>
void add_projections(CpuContext& context, const StepLayer& layer, const ConvTiles& tiles, const PanelSource& source,
                     int64_t g, SampleOf sample_of) {
  const LayerShape& shape = *layer.shape;
  ConvWorkspace& w = context.conv;
  const int64_t m = shape.outputs / shape.groups, ld = tiles.panel_ld();
  const int64_t count = (m + kConvRateTile - 1) / kConvRateTile;
  for (int64_t begin = 0; begin < shape.d; begin += tiles.strip_rows) {
    const int64_t end = std::min(shape.d, begin + tiles.strip_rows);
    fill_panel(context, shape, source, g * shape.d + begin, g * shape.d + end);
    const double work = 2.0 * static_cast<double>(m * (end - begin)) * static_cast<double>(source.rows);
    context.pool.parallel_for(count, work, [&](int64_t tile, int32_t) {
      const int64_t row = tile * kConvRateTile, height = std::min(kConvRateTile, m - row);
      float* const product = w.product.data() + row * ld;
      const float* const d = layer.memory->direction + (g * m + row) * shape.ldw + begin;
      context.blas.sgemm(kRowMajor, kNoTrans, kNoTrans, static_cast<int>(height), static_cast<int>(source.rows),
                         static_cast<int>(end - begin), 1.0f, d, static_cast<int>(shape.ldw), context.panel.data(),
                         static_cast<int>(ld), begin == 0 ? 0.0f : 1.0f, product, static_cast<int>(ld));
      if (end < shape.d) return;
      for (int64_t r = 0; r < source.runs; ++r) {
        const ConvRun& run = w.runs[static_cast<size_t>(r)];
        w.partial[static_cast<size_t>(tile * source.runs + r)] =
            run_projection(layer, run, sample_of(run.sample), g * m + row, height, product, ld);
      }
    });
  }
  // In the order of the tiles: the sums do not depend on who did what.
  for (int64_t tile = 0; tile < count; ++tile)
    for (int64_t r = 0; r < source.runs; ++r)
      w.projections[static_cast<size_t>(w.runs[static_cast<size_t>(r)].sample)] +=
          w.partial[static_cast<size_t>(tile * source.runs + r)];
}

} // namespace

bool conv_curvature(CpuContext& context, const StepLayer& layer, int64_t used, double& curvature) {
  const LayerShape& shape = *layer.shape;
  const Activations& inputs = layer.conv_inputs;
  // Sample k of the subsample is sample k N / used of the batch, as in a dense layer.
  const auto sample_of = [&layer, used](int64_t k) { return k * layer.samples / used; };
  ConvTiles tiles;
  if (!reserve_conv(context, shape, inputs, used, ConvUse::kRate, tiles)) return false;
  ConvWorkspace& w = context.conv;
  for (int64_t k = 0; k < used; ++k) w.projections[static_cast<size_t>(k)] = 0;
  // A run of several output rows must be one run of the deltas too.
  const Activations& deltas = layer.conv_deltas;
  const bool merge = deltas.stride[2] == tiles.out_width * deltas.stride[3];
  for (int64_t first = 0; first < used * tiles.bands; first += tiles.units) {
    const ConvChunk chunk = chunk_of(tiles, used, first);
    const double work = static_cast<double>(chunk.count * tiles.image_floats);
    context.pool.parallel_for(chunk.count, work, [&](int64_t slot, int32_t) {
      const int64_t unit = chunk.first + slot;
      copy_image(context, shape, inputs, tiles, unit, slot, sample_of(unit / tiles.bands));
    });
    const ConvImage image =
        image_of(context, shape, inputs, tiles, chunk.first, 0, sample_of(chunk.first / tiles.bands));
    for (int64_t row = 0; row < chunk.rows; row += tiles.panel_rows) {
      const int64_t rows = std::min(tiles.panel_rows, chunk.rows - row);
      const int64_t runs =
          make_runs(context, shape, inputs, tiles, chunk, row, row + rows, merge, context.conv.runs.data(), sample_of);
      const PanelSource source{tiles, image.channel, image.row, image.phase, context.conv.runs.data(), runs,
                               rows,  nullptr,       0};
      for (int64_t g = 0; g < shape.groups; ++g) add_projections(context, layer, tiles, source, g, sample_of);
    }
  }
  double sum = 0;
  for (int64_t k = 0; k < used; ++k) {
    const double x = w.projections[static_cast<size_t>(k)];
    sum += x * x;
  }
  curvature = sum / static_cast<double>(used);
  return true;
}

} // namespace lngd::cpu::LNGD_ISA
