// SPDX-License-Identifier: Apache-2.0
// Index products beyond 2^31: each kernel at the far end of a grid, or of a matrix, that no test could hold. The grid
// lies (simt::set_grid_window runs its last blocks only), and so do the pointers: a tensor "begins" so far in front of
// a small array that the elements which are touched lie in it. A product that wraps leaves the array, which is
// reported, or leaves an element unwritten.
#include <cmath>
#include <vector>

#include "backend/cuda/layer_rate.h"
#include "backend/cuda/running_average.h"
#include "backend/cuda/statistics.h"
#include "backend/cuda/statistics_plan.h"
#include "layer_fixture.hpp"

namespace {

using namespace fixture;
using lngd::LayerShape;
using namespace lngd::cuda;

struct Window {
  Window(uint64_t first, uint64_t count) { simt::set_grid_window(first, count); }
  ~Window() { simt::set_grid_window(0, 0); }
};

// Where an array would begin whose element `index` is the first of `held`. As integers: such a pointer points to
// nothing.
template <class T>
T* beginning(const Array<T>& held, int64_t index) {
  return reinterpret_cast<T*>(reinterpret_cast<intptr_t>(held.data) - index * static_cast<int64_t>(sizeof(T)));
}

// 256 images of 512 x 512 and some more; channels side by side take 32 threads a pixel, 2^31 of them at pixel 2^26.
void check_pixels(bool channels_last, int64_t samples, int64_t height, int64_t width) {
  const int64_t pixels = samples * height * width, channels = 5, kept = 64, first = pixels - kept;
  const int64_t pixels_a_block = channels_last ? 8 : 256;
  Numbers numbers(3);
  const std::vector<float> values = numbers.vector(kept * channels);
  const Array<float> input(values);
  const Array<float> squares(std::vector<float>(static_cast<size_t>(kept), -1.0f));
  lngd::Activations a;
  a.height = static_cast<int32_t>(height);
  a.width = static_cast<int32_t>(width);
  // Pixels follow each other in memory, with their channels inside or outside.
  const int64_t between = channels_last ? channels : 1;
  a.stride[0] = height * width * between;
  a.stride[1] = channels_last ? 1 : kept;
  a.stride[2] = width * between;
  a.stride[3] = between;
  a.data = beginning(input, first * between);
  a.device = true;
  LayerShape shape;
  shape.inputs = channels;
  shape.groups = 1;
  const uint64_t blocks = static_cast<uint64_t>((pixels + pixels_a_block - 1) / pixels_a_block);
  // As many blocks as the kept pixels reach into.
  const uint64_t window = blocks - static_cast<uint64_t>(first / pixels_a_block);
  const Window last(blocks - window, window);
  // Pixels of the first block that are not kept would be read outside: the kept ones begin with a block.
  REQUIRE(first % pixels_a_block == 0);
  CHECK_EQ(launch_pixel_squares(shape, a, samples, beginning(squares, first), nullptr), cudaSuccess);
  finish_launches();
  const std::vector<float> seen = squares.read();
  for (int64_t p = 0; p < kept; ++p) {
    double sum = 0;
    for (int64_t c = 0; c < channels; ++c) {
      const double x = values[static_cast<size_t>(channels_last ? p * channels + c : c * kept + p)];
      sum += x * x;
    }
    CHECK_WITHIN(std::fabs(sum - static_cast<double>(seen[static_cast<size_t>(p)])),
                 1e-6 * (1 + sum)); // 5 float addends
  }
}

LayerRecord ready() {
  LayerRecord record{};
  record.has_average = record.has_inverse = 1;
  record.samples = 1;
  record.moves = 1;
  record.coefficient = 0.5;
  return record;
}

} // namespace

TEST(far_pixels_of_conv_statistics) {
  start();
  check_pixels(true, 257, 512, 512);          // 2^26 pixels are 2^31 threads
  check_pixels(true, 1 << 10, 1 << 10, 1000); // near kMostRows
  check_pixels(false, 1, 64, (1 << 24) - 3);
}

// Row 1000 of a layer whose rows are 2^24 floats: element 1.6e10 of W, G, M, D and the averages.
TEST(far_rows_of_the_update) {
  start();
  constexpr int32_t kWidth = 1 << 24, kHeld = 64, kRow = 1000, kColumn = kWidth - kHeld;
  constexpr int64_t kFirst = int64_t{kRow} * kWidth + kColumn;
  for (const bool odd : {false, true}) { // vectors, and element by element
    Numbers numbers(5);
    const std::vector<float> w = numbers.vector(kHeld), m = numbers.vector(kHeld), d = numbers.vector(kHeld);
    const Array<float> weights(w), momentum(m), average(w), direction(d), gradients(w);
    const Array<LayerRecord> record(std::vector<LayerRecord>{ready()});
    const int64_t shift = odd ? 1 : 0; // rows that do not begin at a multiple of 16 bytes
    const auto strided = [&](const Array<float>& held) {
      return Strided{beginning(held, kFirst + kRow * shift), kWidth + shift, 1, true};
    };
    DeviceLayer layer{};
    layer.record = record.data;
    layer.weights = strided(weights);
    layer.weight_gradients = strided(gradients);
    layer.momentum = beginning(momentum, kFirst);
    layer.average = beginning(average, kFirst);
    layer.direction = beginning(direction, kFirst);
    layer.ldw = kWidth;
    layer.inputs = kWidth;
    layer.outputs = kRow + 1;
    StepSettings settings{};
    settings.momentum = 0.5f;
    settings.averaging_window = 1;
    const Array<StepSettings> at_settings(std::vector<StepSettings>{settings});
    const Array<DeviceLayer> layers(std::vector<DeviceLayer>{layer});
    const Array<UpdateTask> tasks(std::vector<UpdateTask>{{0, kRow, kRow + 1, kColumn, kWidth}});
    CHECK_EQ(launch_apply_update(at_settings.data, layers.data, tasks.data, 1, false, nullptr), cudaSuccess);
    finish_launches();
    const std::vector<float> moved = weights.read(), kept = average.read();
    for (size_t i = 0; i < kHeld; ++i) CHECK_EQ(moved[i], w[i] + (0.5f * m[i] + 0.5f * d[i]));
    for (size_t i = 0; i < kHeld; ++i) CHECK_EQ(kept[i], w[i] + (moved[i] - w[i]));
    CHECK_EQ(launch_swap_averages(layers.data, tasks.data, 1, nullptr), cudaSuccess);
    finish_launches();
    CHECK(weights.read() == kept);
  }
}

// The last row of a full factor of 65536 columns: element 2^32 - 2^16.
TEST(far_rows_of_the_running_average) {
  start();
  constexpr int32_t kSize = 65536;
  constexpr int64_t kFirst = int64_t{kSize - 1} * kSize;
  Numbers numbers(7);
  const std::vector<float> s = numbers.vector(kSize), p = numbers.vector(kSize);
  const Array<float> sum(s), phi(p);
  const Array<double> denominator(std::vector<double>{2.0});
  const Array<LayerRecord> record(std::vector<LayerRecord>{ready()});
  AverageLayer layer{};
  layer.record = record.data;
  layer.denominator = denominator.data;
  layer.phi = {beginning(sum, kFirst), beginning(phi, kFirst), kSize, kSize, int64_t{kSize} * kSize};
  layer.outputs = layer.groups = 1;
  StepSettings settings{};
  settings.rho = 0.5;
  const Array<StepSettings> at_settings(std::vector<StepSettings>{settings});
  const Array<AverageLayer> layers(std::vector<AverageLayer>{layer});
  const Array<int32_t> due(std::vector<int32_t>{1});
  const Array<AverageTask> tasks(std::vector<AverageTask>{{0, kSize - 1, kSize, AveragePart::Phi}});
  CHECK_EQ(launch_running_average(at_settings.data, layers.data, due.data, 1, tasks.data, 1, nullptr), cudaSuccess);
  finish_launches();
  const std::vector<float> seen = phi.read();
  int wrong = 0;
  for (size_t i = 0; i < kSize; ++i) wrong += seen[i] != 0.5f * p[i] + 0.5f * s[i];
  CHECK_EQ(wrong, 0);
}

namespace {

constexpr int32_t kFarShared = 99 * 1024; // the least that a device has

// sum over the rows of w^2 a_i a_j, and how far float may be from it.
void check_gram(const std::vector<float>& a, const std::vector<float>& w, int64_t columns, int64_t i, int64_t j,
                float seen) {
  double sum = 0, size = 0;
  for (size_t n = 0; n < w.size(); ++n) {
    const auto of = [&](int64_t column) {
      return static_cast<double>(w[n]) * a[n * static_cast<size_t>(columns) + static_cast<size_t>(column)];
    };
    sum += of(i) * of(j), size += std::fabs(of(i) * of(j));
  }
  // Two weights and a product, rounded, and a sum that grows by one term at a time.
  CHECK_WITHIN(std::fabs(sum - static_cast<double>(seen)), (4 + static_cast<double>(w.size())) * 0x1p-24 * size);
}

// The last 128 of `rows` rows of 8 columns, which are a chunk of their own, go to the last tile of the workspace.
template <class Launch>
void check_far_rows(int64_t rows, Launch run) {
  constexpr int64_t kHeld = 128, kColumns = 8, kTileFloats = 32 * 32;
  Numbers numbers(13);
  const std::vector<float> a = numbers.vector(kHeld * kColumns), w = numbers.vector(kHeld);
  const Array<float> inputs(a), weights(w);
  const Array<float> tile(std::vector<float>(kTileFloats, 0.0f));
  LayerShape shape;
  shape.inputs = shape.d = kColumns;
  shape.groups = 1;
  shape.blocks = lngd::BlockLayout(kColumns, kColumns);
  SyrkJob job{};
  job.grid = syrk_grid(shape.blocks, rows);
  REQUIRE(rows % kHeld == 0 && job.grid.chunks == rows / kHeld && job.grid.tasks == 1);
  job.grid.splits = job.grid.chunks;
  job.grid.split_chunks = 1;
  job.weights = beginning(weights, rows - kHeld);
  job.tiles = beginning(tile, (rows / kHeld - 1) * kTileFloats);
  job.shared_bytes = kFarShared;
  const Window last(static_cast<uint64_t>(job.grid.chunks) - 1, 1);
  CHECK_EQ(run(shape, beginning(inputs, (rows - kHeld) * kColumns), job), cudaSuccess);
  finish_launches();
  const std::vector<float> seen = tile.read();
  for (int64_t i = 0; i < kColumns; ++i)
    for (int64_t j = 0; j <= i; ++j) check_gram(a, w, kColumns, i, j, seen[static_cast<size_t>(i * 32 + j)]);
}

} // namespace

// 2^30 samples of 8 inputs, and 1000 images of 2^20 pixels with 8 channels side by side: elements beyond 2^33.
TEST(far_rows_of_weighted_syrk) {
  start();
  REQUIRE(prepare_layer_statistics(kFarShared) == cudaSuccess);
  REQUIRE(prepare_conv_statistics(kFarShared) == cudaSuccess);
  check_far_rows(kMostRows, [](const LayerShape& shape, const float* inputs, const SyrkJob& job) {
    return launch_syrk(shape, lngd::Strided{const_cast<float*>(inputs), 8, 1, true}, kMostRows, job, Precision::Float32,
                       nullptr);
  });
  check_far_rows(1000 << 20, [](const LayerShape& shape, const float* inputs, const SyrkJob& job) {
    lngd::Activations a;
    a.height = a.width = 1024;
    a.stride[0] = 8 << 20;
    a.stride[1] = 1;
    a.stride[2] = 8 << 10;
    a.stride[3] = 8;
    a.data = const_cast<float*>(inputs);
    a.device = true;
    return launch_syrk(shape, a, 1000, job, Precision::Float32, nullptr);
  });
}

// The last tile of a full factor of 65536 columns: from element 65408 x 65537 of Phi on.
TEST(far_tile_of_weighted_syrk) {
  start();
  REQUIRE(prepare_layer_statistics(kFarShared) == cudaSuccess);
  constexpr int64_t kSize = 65536, kHeld = 128, kRows = 32, kFirst = kSize - kHeld;
  Numbers numbers(17);
  const std::vector<float> a = numbers.vector(kRows * kHeld), w = numbers.vector(kRows);
  const Array<float> inputs(a), weights(w);
  const Array<float> phi(std::vector<float>(static_cast<size_t>((kHeld - 1) * kSize + kHeld), 0.0f));
  LayerShape shape;
  shape.inputs = shape.d = kSize;
  shape.groups = 1;
  shape.blocks = lngd::BlockLayout(kSize, kSize);
  SyrkJob job{};
  job.grid = syrk_grid(shape.blocks, kRows);
  job.grid.splits = 1;
  job.grid.split_chunks = job.grid.chunks;
  job.weights = weights.data;
  job.sum = beginning(phi, kFirst * kSize + kFirst);
  job.shared_bytes = kFarShared;
  const Window last(static_cast<uint64_t>(job.grid.tasks) - 1, 1);
  // Rows overlap but in the columns of this tile.
  CHECK_EQ(launch_syrk(shape, lngd::Strided{beginning(inputs, kFirst), kHeld, 1, true}, kRows, job, Precision::Float32,
                       nullptr),
           cudaSuccess);
  finish_launches();
  const std::vector<float> seen = phi.read();
  for (int64_t i = 0; i < kHeld; ++i)
    for (int64_t j = 0; j <= i; ++j) check_gram(a, w, kHeld, i, j, seen[static_cast<size_t>(i * kSize + j)]);
}

// Row 1000, the last 32 columns, of a layer whose rows are 2^24 floats, in blocks of 32.
TEST(far_tiles_of_precondition) {
  start();
  REQUIRE(prepare_precondition() == cudaSuccess);
  constexpr int32_t kWidth = 1 << 24, kHeld = 32, kRow = 1000, kColumn = kWidth - kHeld;
  constexpr int64_t kFirst = int64_t{kRow} * kWidth + kColumn;
  Numbers numbers(9);
  const std::vector<float> g = numbers.vector(kHeld), w = numbers.vector(kHeld);
  std::vector<float> inverse(kHeld * kHeld, 0.0f);
  for (size_t i = 0; i < kHeld; ++i) inverse[i * (kHeld + 1)] = 2.0f;
  const Array<float> gradients(g), weights(w), direction(g), phi_inverse(inverse),
      psi_inverse(std::vector<float>{4.0f});
  const Array<LayerRecord> record(std::vector<LayerRecord>{ready()});
  DeviceLayer layer{};
  layer.record = record.data;
  layer.weights = {beginning(weights, kFirst), kWidth, 1, true};
  layer.weight_gradients = {beginning(gradients, kFirst), kWidth, 1, true};
  layer.direction = beginning(direction, kFirst);
  layer.psi_inverse = beginning(psi_inverse, kRow);
  layer.ldw = kWidth;
  layer.inputs = kWidth;
  layer.outputs = kRow + 1;
  const Array<StepSettings> settings(std::vector<StepSettings>(1));
  const Array<DeviceLayer> layers(std::vector<DeviceLayer>{layer});
  const Array<DirectionTile> tiles(
      std::vector<DirectionTile>{{phi_inverse.data, kHeld, 0, kWidth / kHeld - 1, kColumn, kHeld, kRow, kRow + 1, 0}});
  const Array<DirectionSums> sums(1);
  CHECK_EQ(launch_precondition(settings.data, layers.data, tiles.data, 1, sums.data, Precision::TripleTf32, nullptr),
           cudaSuccess);
  finish_launches();
  const std::vector<float> d = direction.read();
  for (size_t i = 0; i < kHeld; ++i) // 3xTF32: 2^-20 of a product is left out at most
    CHECK_WITHIN(std::fabs(static_cast<double>(d[i]) - 8.0 * static_cast<double>(g[i])), 8 * 0x1p-20);
}

// The last 64 of 2^30 samples, whose rows are 8 floats.
TEST(far_rows_of_the_projection) {
  start();
  REQUIRE(prepare_layer_rate() == cudaSuccess);
  constexpr int64_t kSamples = int64_t{1} << 30, kHeld = 64, kFirst = kSamples - kHeld, kInputs = 8;
  Numbers numbers(11);
  const std::vector<float> a = numbers.vector(kHeld * kInputs), delta = numbers.vector(kHeld),
                           d = numbers.vector(kInputs);
  std::vector<float> padded(16, 0.0f);
  std::copy(d.begin(), d.end(), padded.begin());
  const Array<float> inputs(a), deltas(delta), direction(padded);
  const Array<LayerRecord> record(std::vector<LayerRecord>{ready()});
  const Array<double> partial(kHeld);
  RateLayer layer{};
  layer.record = record.data;
  layer.outputs = layer.groups = layer.positions = 1;
  layer.inputs = kInputs;
  layer.direction = direction.data;
  layer.ldw = 16;
  layer.sample_inputs = {beginning(inputs, kFirst * kInputs), kInputs, 1, true};
  layer.sample_deltas = {beginning(deltas, kFirst), 1, 1, true};
  layer.samples = kSamples;
  layer.used = static_cast<int32_t>(kSamples);
  layer.partial = beginning(partial, int64_t{rate_row_tiles(layer) - 1} * rate_slots(layer));
  const Array<RateLayer> layers(std::vector<RateLayer>{layer});
  const Array<ProjectionTask> tasks(std::vector<ProjectionTask>{{0, 0, rate_row_tiles(layer) - 1, 0, 0, 1}});
  CHECK_EQ(launch_rate_projections(layers.data, tasks.data, 1, nullptr), cudaSuccess);
  finish_launches();
  const std::vector<double> x = partial.read();
  for (size_t n = 0; n < kHeld; ++n) {
    double sum = 0;
    for (size_t j = 0; j < kInputs; ++j) sum += static_cast<double>(a[n * kInputs + j]) * static_cast<double>(d[j]);
    CHECK_WITHIN(std::fabs(x[n] - sum * static_cast<double>(delta[n])), 8 * 0x1p-20);
  }
}
