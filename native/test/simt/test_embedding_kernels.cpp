// SPDX-License-Identifier: Apache-2.0
// The kernels of embeddings alone: sums by index, the inverse, the direction and the curvature of a diagonal Phi.
#include <cmath>
#include <string>

#include "backend/cuda/embedding.h"
#include "statistics_fixture.hpp"

namespace {

using namespace fixture;
using lngd::Activations;
using lngd::BlockLayout;
using lngd::cuda::DampingRule;
using lngd::cuda::DiagonalTask;
using lngd::cuda::DirectionSums;
using lngd::cuda::DirectionTile;
using lngd::cuda::FactorResult;
using lngd::cuda::ProjectionTask;
using lngd::cuda::RateLayer;
using lngd::cuda::StepSettings;

Activations compact(float* data, int64_t channels, int32_t positions) {
  Activations a{};
  a.data = data;
  a.stride[0] = channels * positions;
  a.stride[1] = positions;
  a.stride[2] = positions;
  a.stride[3] = 1;
  a.height = 1;
  a.width = positions;
  a.device = true;
  return a;
}

LayerShape shape_of(int64_t vocabulary, int64_t outputs, bool bias) {
  LayerShape shape{};
  shape.embedding = true;
  shape.inputs = vocabulary;
  shape.outputs = outputs;
  shape.bias = bias;
  shape.groups = 1;
  shape.d = vocabulary + (bias ? 1 : 0);
  shape.ldw = lngd::padded(shape.d);
  shape.blocks = BlockLayout::diagonal(shape.d, vocabulary);
  shape.activation = LNGD_ACTIVATION_TANH;
  return shape;
}

struct Batch {
  LayerShape shape;
  int64_t samples, positions;
  int32_t multiprocessors;
  std::vector<float> indices, signal;
};

Batch make_batch(int64_t vocabulary, int64_t outputs, bool bias, int64_t samples, int64_t positions,
                 int32_t multiprocessors) {
  Numbers numbers(9);
  Batch b{shape_of(vocabulary, outputs, bias), samples, positions, multiprocessors, {}, {}};
  for (int64_t n = 0; n < samples * positions; ++n) {
    const double u = std::fabs(static_cast<double>(numbers.next())); // a third of the rows has one index
    b.indices.push_back(u < 0.33 ? 1.0f : static_cast<float>(std::floor(u * static_cast<double>(vocabulary))));
  }
  b.signal = numbers.vector(samples * outputs * positions, 2);
  return b;
}

// The sums are those of one thread that adds r, as float, in the order of the rows: to the bit.
void check_statistics(const Batch& b) {
  const conformance::Scope scope("vocabulary " + std::to_string(b.shape.inputs) + " on " +
                                 std::to_string(b.multiprocessors));
  const Array<float> indices(b.indices), signal(b.signal);
  const size_t rows = b.indices.size(), d = static_cast<size_t>(b.shape.d), m = static_cast<size_t>(b.shape.outputs);
  std::vector<double> start(d);
  for (size_t i = 0; i < d; ++i) start[i] = 0.125 * static_cast<double>(i % 7); // of an earlier batch
  const Array<double> phi(start), psi(std::vector<double>(m, 0.0)), denominator(std::vector<double>{0.0});
  const Array<LayerRecord> record(std::vector<LayerRecord>{LayerRecord{}});
  LayerMemory memory{};
  memory.phi_diagonal_sum = phi.data;
  memory.psi_sum = psi.data;
  memory.denominator = denominator.data;
  memory.record = record.data;
  const auto positions = static_cast<int32_t>(b.positions);
  const lngd::ConvStatisticsArgs args{&b.shape,
                                      &memory,
                                      compact(indices.data, 1, positions),
                                      compact(signal.data, b.shape.outputs, positions),
                                      LNGD_SIGNAL_PRE_ACTIVATIONS,
                                      b.samples,
                                      0,
                                      3,
                                      1,
                                      LNGD_PRECISION_TF32X3};
  const size_t bytes = lngd::cuda::embedding_statistics_workspace(b.shape, args.inputs, b.samples, b.multiprocessors);
  const Array<unsigned char> workspace(bytes);
  const lngd::cuda::StatisticsWorkspace room{workspace.data, bytes, b.multiprocessors, 0};
  const Array<float> r(rows);
  CHECK_EQ(lngd::cuda::launch_embedding_fisher_rows(args, room, {nullptr, r.data, nullptr}, nullptr), cudaSuccess);
  CHECK_EQ(lngd::cuda::launch_embedding_statistics(args, room, nullptr), cudaSuccess);
  finish_launches();
  const std::vector<float> each = r.read();
  double bias = 0;
  for (size_t n = 0; n < rows; ++n) {
    start[static_cast<size_t>(b.indices[n])] += static_cast<double>(each[n]);
    bias += static_cast<double>(each[n]);
  }
  const std::vector<double> got = phi.read();
  int64_t wrong = 0;
  for (int64_t k = 0; k < b.shape.inputs; ++k) wrong += got[static_cast<size_t>(k)] != start[static_cast<size_t>(k)];
  CHECK_EQ(wrong, 0);
  const double c = b.shape.bias ? 2 : 1;
  if (b.shape.bias) CHECK_NEAR(got[d - 1], start[d - 1] + bias, 1e-13 * bias); // another order of doubles
  CHECK_NEAR(denominator.read()[0], c * bias, 2 * kFloatEps * c * bias);       // of r before it was rounded
  CHECK_EQ(record.read()[0].samples, b.samples);
  CHECK_EQ(record.read()[0].poisoned, 0);
}

} // namespace

// Ranges of 256 indices, and of 2048 with a last one that is short; rows for several turns; blocks without any row in
// some of them.
TEST(kernel_embedding_statistics) {
  for (const Schedule& schedule : kSchedules) {
    start();
    simt::set_schedule(schedule.order, schedule.seed);
    check_statistics(make_batch(700, 5, true, 20, 31, 4));
    check_statistics(make_batch(5000, 3, false, 90, 7, 1));
    check_statistics(make_batch(5000, 1, false, 60, 9, 132));
    if (schedule.order == simt::Order::Forward) check_statistics(make_batch(2, 1, true, 1, 1, 4));
  }
  simt::set_schedule(simt::Order::Forward);
}

TEST(kernel_diagonal_inverse) {
  for (const Schedule& schedule : kSchedules) {
    start();
    simt::set_schedule(schedule.order, schedule.seed);
    // A vector of more than one turn of the block; one that needs two retries, failing at 3 and 5; hopeless; NaN; not
    // due; without an average.
    std::vector<std::vector<float>> phis = {
        Numbers(1).vector(3000), {1, 1, 1, -50, 1, -20}, {1, -1e9f}, {1, std::nanf(""), 1}, {1}, {1}};
    for (float& x : phis[0]) x = std::fabs(x);
    const DampingRule rule{{LNGD_DAMPING_ABSOLUTE, 0, 0, 1, 1, 1, 0}}; // lambda is 1
    std::vector<std::unique_ptr<Array<float>>> phi, inverse;
    LayerRecord observed{};
    observed.has_average = 1;
    const Array<LayerRecord> records(std::vector<LayerRecord>{observed, LayerRecord{}});
    const Array<int32_t> due(std::vector<int32_t>{1, 1, 1, 1, 0, 1});
    std::vector<DiagonalTask> tasks;
    for (size_t t = 0; t < phis.size(); ++t) {
      phi.push_back(std::make_unique<Array<float>>(phis[t]));
      inverse.push_back(std::make_unique<Array<float>>(std::vector<float>(phis[t].size(), 7.0f)));
      tasks.push_back({phi[t]->data, inverse[t]->data, records.data + (t == 5 ? 1 : 0),
                       static_cast<int32_t>(phis[t].size()), static_cast<int32_t>(t), static_cast<int32_t>(t), false});
    }
    const Array<DiagonalTask> device_tasks(tasks);
    const Array<FactorResult> results(tasks.size());
    CHECK_EQ(lngd::cuda::launch_diagonal_inverse(device_tasks.data, static_cast<int32_t>(tasks.size()), rule, due.data,
                                                 results.data, nullptr),
             cudaSuccess);
    finish_launches();
    const std::vector<FactorResult> got = results.read();
    const FactorResult expected[] = {{1, 0, -1, 1}, {100, 2, 3, 1}, {0, 6, 1, 0},
                                     {0, 6, 1, 0},  {0, 0, -1, 0},  {0, 0, -1, 0}};
    for (size_t t = 0; t < phis.size(); ++t) {
      const conformance::Scope scope("task " + std::to_string(t));
      CHECK_EQ(got[t].lambda, expected[t].lambda);
      CHECK_EQ(got[t].retries, expected[t].retries);
      CHECK_EQ(got[t].failed_pivot, expected[t].failed_pivot);
      CHECK_EQ(got[t].renewed, expected[t].renewed);
      int64_t wrong = 0;
      const std::vector<float> values = inverse[t]->read();
      for (size_t i = 0; i < values.size(); ++i)
        wrong += values[i] !=
                 (got[t].renewed ? static_cast<float>(1.0 / (static_cast<double>(phis[t][i]) + got[t].lambda)) : 7.0f);
      CHECK_EQ(wrong, 0);
    }
  }
  simt::set_schedule(simt::Order::Forward);
}

namespace {

void check_precondition(const Shape& s, float decay, float weight_scale, float gradient_scale) {
  const conformance::Scope scope("layer of " + std::to_string(s.outputs) + " x " + std::to_string(s.columns()) + ", " +
                                 name(s.layout));
  StepSettings settings{};
  settings.rules.weight_decay = decay == 0.0f ? 0.3 : static_cast<double>(decay);
  settings.rules.decay = decay == 0.0f ? LNGD_DECAY_DECOUPLED : LNGD_DECAY_COUPLED;
  LayerRecord record{};
  record.has_inverse = 1;
  const Layer layer(s, record, 5, weight_scale, gradient_scale);
  const BlockLayout blocks = BlockLayout::diagonal(s.columns(), s.inputs);
  std::vector<float> inverse = Numbers(8).vector(blocks.floats());
  for (float& x : inverse) x = 0.5f + std::fabs(x);
  const Array<float> device_inverse(inverse);
  std::vector<DirectionTile> tiles;
  lngd::cuda::append_direction_tiles(0, blocks, s.outputs, device_inverse.data, tiles);
  const Array<StepSettings> device_settings(std::vector<StepSettings>{settings});
  const Array<lngd::cuda::DeviceLayer> table(std::vector<lngd::cuda::DeviceLayer>{layer.device()});
  const Array<DirectionTile> device_tiles(tiles);
  const Array<DirectionSums> device_sums(tiles.size());
  CHECK_EQ(lngd::cuda::launch_diagonal_precondition(device_settings.data, table.data, device_tiles.data,
                                                    static_cast<int32_t>(tiles.size()), device_sums.data, nullptr),
           cudaSuccess);
  finish_launches();
  const std::vector<float> d = layer.direction.read();
  DirectionSums total{}, expected{};
  for (const DirectionSums& sums : device_sums.read()) {
    total.direction_gradient += sums.direction_gradient;
    total.direction_direction += sums.direction_direction;
    total.weight_weight += sums.weight_weight;
    total.direction_psi += sums.direction_psi;
    total.psi_gradient += sums.psi_gradient;
  }
  double worst = 0;
  int64_t changed = 0;
  for (int64_t i = 0; i < s.outputs; ++i)
    for (int64_t j = 0; j < s.ldw(); ++j) {
      const size_t own = static_cast<size_t>(i * s.ldw() + j), at = static_cast<size_t>(i * s.inputs + j);
      if (j >= s.columns()) {
        changed += d[own] != layer.d[own];
        continue;
      }
      const size_t row = static_cast<size_t>(i);
      const double w = j < s.inputs ? layer.w[at] : layer.b[row], psi = layer.psi_inverse[row];
      const double g = (j < s.inputs ? layer.g[at] : layer.gb[row]) + static_cast<double>(decay) * w;
      const double direction = psi * g * inverse[static_cast<size_t>(j)];
      // A sum that cancels in G + decay W; two products.
      const double size = std::fabs(direction) + psi * inverse[static_cast<size_t>(j)] * std::fabs(decay * w);
      worst = std::max(worst, size > 0 ? std::fabs(d[own] - direction) / size : 0);
      expected.direction_gradient += direction * g;
      expected.direction_direction += direction * direction;
      expected.weight_weight += w * w;
      expected.direction_psi += direction * direction / psi;
      expected.psi_gradient += psi * direction * g;
    }
  CHECK_EQ(changed, 0);
  CHECK_WITHIN(worst, 4 * kFloatEps);
  // All addends are positive; up to eight of them in float.
  const double bound = 16 * kFloatEps;
  CHECK_NEAR(total.direction_gradient, expected.direction_gradient, bound * expected.direction_gradient);
  CHECK_NEAR(total.direction_direction, expected.direction_direction, bound * expected.direction_direction);
  CHECK_NEAR(total.weight_weight, expected.weight_weight, bound * expected.weight_weight);
  CHECK_NEAR(total.direction_psi, expected.direction_psi, bound * expected.direction_psi);
  CHECK_NEAR(total.psi_gradient, expected.psi_gradient, bound * expected.psi_gradient);
}

} // namespace

TEST(kernel_diagonal_precondition) {
  start();
  for (const Layout layout : kLayouts)
    for (const float decay : {0.0f, 0.3f}) {
      check_precondition({70, 300, true, layout, 0}, decay, 1, 1);
      check_precondition({3, 129, true, layout, 0}, decay, 1, 1); // the bias begins at an odd column
      check_precondition({1, 1, false, layout, 0}, decay, 1, 1);
    }
  for (const float scale : {1e-24f, 1e24f}) { // squares beyond float's range
    check_precondition({5, 40, true, Layout::Rows, 0}, 0.0f, scale, 1);
    check_precondition({5, 40, true, Layout::Rows, 0}, 0.0f, 1, scale);
  }
}

// Samples whose rows cross tiles, more outputs than a tile, a subsample; an index that is none.
TEST(kernel_embedding_rate_projections) {
  constexpr int64_t kVocabulary = 50, kOutputs = 150, kSamples = 9;
  constexpr int32_t kPositions = 20, kUsed = 5;
  for (const Schedule& schedule : kSchedules) {
    start();
    simt::set_schedule(schedule.order, schedule.seed);
    Batch b = make_batch(kVocabulary, kOutputs, true, kSamples, kPositions, 4);
    b.indices[6 * kPositions + 3] = 0.5f; // sample 7 k / 5 of them are used: 0, 1, 3, 5, 7
    b.indices[7 * kPositions + 4] = 50.0f;
    const std::vector<float> direction = Numbers(4).vector(kOutputs * b.shape.ldw);
    const Array<float> indices(b.indices), deltas(b.signal), device_direction(direction);
    LayerRecord record{};
    record.has_inverse = 1;
    const Array<LayerRecord> records(std::vector<LayerRecord>{record});
    RateLayer layer{};
    layer.record = records.data;
    layer.outputs = kOutputs;
    layer.inputs = kVocabulary;
    layer.bias_column = layer.groups = 1;
    layer.direction = device_direction.data;
    layer.ldw = b.shape.ldw;
    layer.samples = kSamples;
    layer.used = kUsed;
    layer.positions = kPositions;
    layer.conv_deltas = compact(deltas.data, kOutputs, kPositions);
    layer.indices = compact(indices.data, 1, kPositions);
    const int64_t partials = lngd::cuda::rate_partials(layer);
    const Array<double> partial(std::vector<double>(static_cast<size_t>(partials), 0.0));
    layer.partial = partial.data;
    std::vector<ProjectionTask> tasks;
    lngd::cuda::append_projection_tasks(0, layer, tasks);
    const Array<RateLayer> table(std::vector<RateLayer>{layer});
    const Array<ProjectionTask> device_tasks(tasks);
    CHECK_EQ(lngd::cuda::launch_embedding_rate_projections(table.data, device_tasks.data,
                                                           static_cast<int32_t>(tasks.size()), nullptr),
             cudaSuccess);
    finish_launches();
    const std::vector<double> parts = partial.read();
    const int32_t slots = lngd::cuda::rate_slots(layer), row_tiles = lngd::cuda::rate_row_tiles(layer);
    for (int32_t k = 0; k < kUsed; ++k) {
      const int64_t n = k * kSamples / kUsed, row0 = int64_t{k} * kPositions;
      double got = 0, expected = 0, size = 0;
      for (int64_t tile = row0 / 64; tile <= (row0 + kPositions - 1) / 64; ++tile)
        for (int32_t c = 0; c < lngd::cuda::rate_column_tiles(layer); ++c)
          got += parts[static_cast<size_t>((c * row_tiles + tile) * slots + k - tile * 64 / kPositions)];
      for (int64_t t = 0; t < kPositions && n != 7; ++t)
        for (int64_t i = 0; i < kOutputs; ++i) {
          const auto index = static_cast<int64_t>(b.indices[static_cast<size_t>(n * kPositions + t)]);
          const float* const row = direction.data() + i * b.shape.ldw;
          const double term = static_cast<double>(b.signal[static_cast<size_t>((n * kOutputs + i) * kPositions + t)]) *
                              (static_cast<double>(row[index]) + static_cast<double>(row[kVocabulary]));
          expected += term;
          size += std::fabs(term);
        }
      if (n == 7)
        CHECK(std::isnan(got));
      else
        CHECK_NEAR(got, expected, 8 * kFloatEps * size); // four products and their sums in float
    }
  }
  simt::set_schedule(simt::Order::Forward);
}
