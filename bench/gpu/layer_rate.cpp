// SPDX-License-Identifier: Apache-2.0
// layer_rate: the reduction of precondition's sums into the records (every step), and the projections delta^T D a of
// the EMPIRICAL rate, an option, over the dense layers of a set.
#include "backend/cuda/layer_rate.h"

#include <algorithm>
#include <cmath>

#include "cases.hpp"
#include "network.hpp"
#include "numbers.cuh"

namespace bench {
namespace {

constexpr uint32_t kInputs = 31, kDeltas = 32;

lngd::cuda::RateLayer rate_layer(const Network& net, size_t i) {
  const lngd::LayerShape& s = net.shapes[i];
  lngd::cuda::RateLayer r{};
  r.record = net.memory[i].record;
  r.lambda_phi = net.memory[i].lambda_phi;
  r.rules.trust_slope = 1;
  r.outputs = static_cast<int32_t>(s.outputs);
  r.inputs = static_cast<int32_t>(s.inputs);
  r.bias_column = s.bias ? 1 : 0;
  r.groups = static_cast<int32_t>(s.groups);
  r.direction = net.memory[i].direction;
  r.ldw = s.ldw;
  r.positions = 1;
  return r;
}

// The sums that precondition leaves: each element is random and positive, as <D, G> and the norms are.
void reduction(const Options& options, const Set& set, Row& row) {
  const Network net(set.layers, set.preset);
  std::vector<lngd::cuda::RateLayer> layers;
  std::vector<lngd::cuda::DirectionTile> tiles;
  for (size_t i = 0; i < set.layers.size(); ++i) {
    layers.push_back(rate_layer(net, i));
    layers[i].first_tile = static_cast<int32_t>(tiles.size());
    lngd::cuda::append_direction_tiles(static_cast<int32_t>(i), net.shapes[i].blocks, layers[i].outputs,
                                       net.memory[i].phi_inverse, tiles);
    layers[i].tiles = static_cast<int32_t>(tiles.size()) - layers[i].first_tile;
  }
  std::vector<lngd::cuda::DirectionSums> sums;
  for (size_t t = 0; t < tiles.size(); ++t) {
    const double x = 1.5 + 0.5 * static_cast<double>(uniform(41, t));
    sums.push_back({x, x + 1, x + 2, x + 3, x + 4});
  }
  const Buffer<lngd::cuda::RateLayer> layer_table(layers);
  const Buffer<lngd::cuda::DirectionTile> tile_table(tiles);
  const Buffer<lngd::cuda::DirectionSums> sums_table(sums);
  const Settings settings;
  row.work.bytes = static_cast<double>(tiles.size() * (sizeof(lngd::cuda::DirectionSums) + 4));
  row.work.operations = row.work.fp32 = 5 * static_cast<double>(tiles.size());
  const auto launch = [&](int, cudaStream_t stream) {
    BENCH_CUDA(lngd::cuda::launch_layer_rate(settings.memory.get(), layer_table.get(),
                                             static_cast<int32_t>(layers.size()), tile_table.get(), sums_table.get(),
                                             stream));
  };
  launch(0, nullptr);
  BENCH_CUDA(cudaDeviceSynchronize());
  const std::vector<lngd::LayerRecord> records = net.records.read();
  row.residual = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    double expected = 0;
    for (int32_t t = 0; t < layers[i].tiles; ++t)
      expected += sums[static_cast<size_t>(layers[i].first_tile + t)].direction_gradient;
    const double error = std::fabs(records[i].inner_product - expected) / expected;
    row.residual = error <= row.residual ? row.residual : error; // NaN stays
  }
  row.bound = 1e-13; // a few thousand additions in double
  row.timing = measure(options, 1, launch);
}

// The projections of one set of dense layers; x_n of a sample of rows against double precision.
void projections(const Options& options, const Set& set, Row& row) {
  std::vector<Layer> dense;
  for (const Layer& l : distinct(set.layers))
    if (!l.conv) dense.push_back(l);
  if (dense.empty()) {
    row.note = "no dense layer in this set";
    return;
  }
  const Network net(dense, set.preset);
  std::vector<Buffer<float>> inputs, deltas;
  std::vector<Buffer<double>> partials;
  std::vector<lngd::cuda::RateLayer> layers;
  std::vector<lngd::cuda::ProjectionTask> tasks;
  for (size_t i = 0; i < dense.size(); ++i) {
    const Layer& l = dense[i];
    row.work = row.work + empirical_rate_work(l, 3);
    inputs.emplace_back(l.batch * l.positions() * l.inputs);
    deltas.emplace_back(l.batch * l.positions() * l.outputs);
    fill(inputs[i].get(), inputs[i].count(), kInputs);
    fill(deltas[i].get(), deltas[i].count(), kDeltas);
    lngd::cuda::RateLayer r = rate_layer(net, i);
    r.sample_inputs = {inputs[i].get(), l.inputs, 1, true};
    r.sample_deltas = {deltas[i].get(), l.outputs, 1, true};
    r.samples = l.batch * l.positions();
    r.used = static_cast<int32_t>(r.samples);
    partials.emplace_back(lngd::cuda::rate_partials(r));
    r.partial = partials[i].get();
    layers.push_back(r);
    lngd::cuda::append_projection_tasks(static_cast<int32_t>(i), r, tasks);
  }
  row.note = "each different dense layer once; every position taken for a sample of its own";
  const Buffer<lngd::cuda::RateLayer> layer_table(layers);
  const Buffer<lngd::cuda::ProjectionTask> task_table(tasks);
  BENCH_CUDA(lngd::cuda::prepare_layer_rate());
  const auto launch = [&](int, cudaStream_t stream) {
    BENCH_CUDA(lngd::cuda::launch_rate_projections(layer_table.get(), task_table.get(),
                                                   static_cast<int32_t>(tasks.size()), stream));
  };
  launch(0, nullptr);
  BENCH_CUDA(cudaDeviceSynchronize());
  row.residual = 0;
  for (size_t i = 0; i < dense.size(); ++i) {
    const std::vector<double> partial = partials[i].read();
    const int64_t row_tiles = lngd::cuda::rate_row_tiles(layers[i]), slots = lngd::cuda::rate_slots(layers[i]);
    for (int64_t sample = 0; sample < 4; ++sample) {
      const int64_t n = sample * (layers[i].used - 1) / 3, width = dense[i].inputs, m = dense[i].outputs;
      double got = 0, expected = 0, absolute = 0;
      for (int64_t c = 0; c < lngd::cuda::rate_column_tiles(layers[i]); ++c)
        got += partial[static_cast<size_t>((c * row_tiles + n / lngd::cuda::kRateRows) * slots +
                                           n % lngd::cuda::kRateRows)];
      for (int64_t o = 0; o < m; ++o) {
        const double delta = static_cast<double>(uniform(kDeltas, static_cast<uint64_t>(n * m + o)));
        for (int64_t j = 0; j < net.shapes[i].d; ++j) {
          const double a =
              j == width ? 1.0 : static_cast<double>(uniform(kInputs, static_cast<uint64_t>(n * width + j)));
          const double d = static_cast<double>(
              uniform(Network::kDirection, static_cast<uint64_t>(net.at[i].own + o * net.shapes[i].ldw + j)));
          expected += delta * d * a;
          absolute += std::fabs(delta * d * a);
        }
      }
      const double error = std::fabs(got - expected) / absolute;
      row.residual = error <= row.residual ? row.residual : error;
    }
  }
  row.bound = 0x1p-20; // 3xTF32, see precondition.cpp
  row.timing = measure(options, 1, launch);
}

} // namespace

void bench_layer_rate(const Options& options, const Set& set, Report& report) {
  report.run(row_of("layer_rate", set, "fp64"), [&](Row& row) { reduction(options, set, row); });
  if (set.preset.block > 0) // it does not depend on the preset
    report.run(row_of("layer_rate_empirical", set, "3xtf32"), [&](Row& row) { projections(options, set, row); });
}

} // namespace bench
