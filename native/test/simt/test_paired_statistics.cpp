// SPDX-License-Identifier: Apache-2.0
// paired_statistics.cu against sums over the rows in double precision: dense layers, and convolutions of patches that
// are written out.
#include "backend/cuda/second_factor.h"
#include "statistics_fixture.hpp"

namespace {

using namespace fixture;
using lngd::Activations;
using lngd::BlockLayout;

struct Case {
  int64_t samples, channels, outputs; // of all groups
  int32_t height, width, kernel, stride, padding;
  int64_t groups;
  bool bias, channels_last;
  int32_t block;
  int32_t multiprocessors;
  bool dense;
  int32_t second_block = 0; // 0: one block of B a group
};

// samples x channels x height x width, in one of two orders.
struct Images {
  int64_t samples, channels;
  int32_t height, width;
  bool last;
  std::vector<float> values; // as they lie
  Array<float> device;

  Images(int64_t n, int64_t c, int32_t h, int32_t w, bool channels_last, uint32_t seed)
      : samples(n),
        channels(c),
        height(h),
        width(w),
        last(channels_last),
        values(Numbers(seed).vector(n * c * h * w)),
        device(values) {}
  Activations view() const {
    const int64_t c = channels, h = height, w = width;
    Activations a{};
    a.data = device.data;
    const int64_t strides[2][4] = {{c * h * w, h * w, w, 1}, {c * h * w, 1, w * c, c}};
    for (int i = 0; i < 4; ++i) a.stride[i] = strides[last][i];
    a.height = height;
    a.width = width;
    a.device = true;
    return a;
  }
  double get(int64_t n, int64_t c, int64_t y, int64_t x) const {
    if (y < 0 || y >= height || x < 0 || x >= width) return 0;
    const Activations a = view();
    return values[static_cast<size_t>(n * a.stride[0] + c * a.stride[1] + y * a.stride[2] + x * a.stride[3])];
  }
};

LayerShape shape_of(const Case& c, int32_t approximation) {
  LayerShape shape{};
  shape.outputs = c.outputs;
  shape.bias = c.bias;
  shape.convolution = !c.dense;
  for (int axis = 0; axis < 2; ++axis) {
    shape.conv.kernel[axis] = c.kernel;
    shape.conv.stride[axis] = c.stride;
    shape.conv.before[axis] = shape.conv.after[axis] = c.padding;
  }
  shape.groups = c.groups;
  shape.inputs = c.channels / c.groups * c.kernel * c.kernel;
  shape.d = shape.inputs + (c.bias ? 1 : 0);
  shape.blocks = BlockLayout(shape.d, c.block, c.groups);
  shape.approximation = approximation;
  shape.second = BlockLayout(c.outputs / c.groups, c.second_block, c.groups);
  shape.fisher = LNGD_FISHER_PROVIDED;
  return shape;
}

// The rows of a group: a with the bias's 1, and g.
struct Rows {
  std::vector<std::vector<double>> a, g;
};

Rows rows_of(const Case& c, const LayerShape& shape, const Images& inputs, const Images& signal, int64_t group) {
  Rows rows;
  const int64_t channels = c.channels / c.groups, height = c.outputs / c.groups;
  for (int64_t n = 0; n < c.samples; ++n)
    for (int64_t oy = 0; oy < signal.height; ++oy)
      for (int64_t ox = 0; ox < signal.width; ++ox) {
        std::vector<double> a, g;
        for (int64_t i = 0; i < channels; ++i)
          for (int64_t ky = 0; ky < c.kernel; ++ky)
            for (int64_t kx = 0; kx < c.kernel; ++kx)
              a.push_back(
                  inputs.get(n, group * channels + i, oy * c.stride - c.padding + ky, ox * c.stride - c.padding + kx));
        if (shape.bias) a.push_back(1);
        for (int64_t i = 0; i < height; ++i) g.push_back(signal.get(n, group * height + i, oy, ox));
        rows.a.push_back(a);
        rows.g.push_back(g);
      }
  return rows;
}

double square(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return sum;
}

// sum of weight x x^T of a group's blocks, relative to the sum of the absolute values.
void check_factor(const BlockLayout& blocks, const std::vector<float>& got, int64_t group,
                  const std::vector<std::vector<double>>& rows, const std::vector<double>& weights, double scale) {
  double worst = 0;
  for (int64_t k = 0; k < blocks.count(); ++k)
    for (int64_t i = 0; i < blocks.size(k) && blocks.group(k) == group; ++i)
      for (int64_t j = 0; j <= i; ++j) {
        double sum = 0, size = 0;
        for (size_t n = 0; n < rows.size(); ++n) {
          const double term = scale * weights[n] * rows[n][static_cast<size_t>(blocks.begin(k) + i)] *
                              rows[n][static_cast<size_t>(blocks.begin(k) + j)];
          sum += term;
          size += std::fabs(term);
        }
        const double error = std::fabs(got[static_cast<size_t>(blocks.offset(k) + i * blocks.ld(k) + j)] - sum);
        if (!(error <= product_error(Precision::TripleTf32) * size)) worst = INFINITY;
        if (size > 0) worst = std::max(worst, error / size);
      }
  CHECK_WITHIN(worst, product_error(Precision::TripleTf32));
}

struct Results {
  std::vector<float> phi, second;
  std::vector<double> denominator, totals;
  LayerRecord record;
};

// `times` launches of the same batch add up.
Results run(const Case& c, const LayerShape& shape, const Images& inputs, const Images& signal, int times) {
  const Array<float> phi(std::vector<float>(static_cast<size_t>(shape.blocks.floats()), 0.0f));
  const Array<float> second(std::vector<float>(static_cast<size_t>(shape.second.floats()), 0.0f));
  const Array<double> denominator(std::vector<double>(static_cast<size_t>(c.groups), 0.0));
  const Array<double> totals(std::vector<double>(static_cast<size_t>(2 * c.groups + 1), 0.0));
  const Array<LayerRecord> record(std::vector<LayerRecord>{LayerRecord{}});
  LayerMemory memory{};
  memory.phi_sum = phi.data;
  memory.second_sum = second.data;
  memory.denominator = denominator.data;
  memory.totals = totals.data;
  memory.record = record.data;
  const size_t bytes =
      c.dense ? lngd::cuda::paired_statistics_workspace(shape, c.samples, c.multiprocessors)
              : lngd::cuda::paired_statistics_workspace(shape, inputs.view(), c.samples, c.multiprocessors);
  const Array<unsigned char> workspace(bytes);
  const lngd::cuda::StatisticsWorkspace room{workspace.data, bytes, c.multiprocessors, simt::device().shared_per_block};
  for (int t = 0; t < times; ++t) {
    if (c.dense) {
      const Activations a = inputs.view(), g = signal.view();
      const lngd::StatisticsArgs args{&shape,
                                      &memory,
                                      {a.data, a.stride[0], a.stride[1], true},
                                      {g.data, g.stride[0], g.stride[1], true},
                                      LNGD_SIGNAL_GRADIENTS,
                                      c.samples,
                                      0,
                                      0,
                                      1,
                                      LNGD_PRECISION_TF32X3};
      CHECK_EQ(lngd::cuda::launch_paired_statistics(args, room, Precision::TripleTf32, nullptr), cudaSuccess);
    } else {
      const lngd::ConvStatisticsArgs args{
          &shape, &memory, inputs.view(),        signal.view(), LNGD_SIGNAL_GRADIENTS, c.samples, 0,
          0,      1,       LNGD_PRECISION_TF32X3};
      CHECK_EQ(lngd::cuda::launch_paired_statistics(args, room, Precision::TripleTf32, nullptr), cudaSuccess);
    }
  }
  finish_launches();
  return {phi.read(), second.read(), denominator.read(), totals.read(), record.read()[0]};
}

void check_case(const Case& c, int32_t approximation, int times = 1) {
  const conformance::Scope scope(std::to_string(c.samples) + " x " + std::to_string(c.channels) + " -> " +
                                 std::to_string(c.outputs) + " kernel " + std::to_string(c.kernel) + " groups " +
                                 std::to_string(c.groups) + " blocks " + std::to_string(c.second_block) + " on " +
                                 std::to_string(c.multiprocessors) + " approximation " + std::to_string(approximation));
  const LayerShape shape = shape_of(c, approximation);
  const Images inputs(c.samples, c.channels, c.height, c.width, c.channels_last, 3);
  const Images signal(c.samples, c.outputs, static_cast<int32_t>(shape.conv.positions(0, c.height)),
                      static_cast<int32_t>(shape.conv.positions(1, c.width)), c.channels_last, 4);
  const Results got = run(c, shape, inputs, signal, times);
  for (int64_t g = 0; g < c.groups; ++g) {
    const Rows rows = rows_of(c, shape, inputs, signal, g);
    std::vector<double> a_weights, g_weights;
    double sums[3] = {0, 0, 0};
    for (size_t n = 0; n < rows.a.size(); ++n) {
      const double cc = square(rows.a[n]), r = square(rows.g[n]);
      const bool weighted = approximation == LNGD_APPROXIMATION_TKFAC;
      a_weights.push_back(weighted ? r : 1);
      g_weights.push_back(weighted ? cc : 1);
      sums[0] += cc * r;
      sums[1] += cc;
      sums[2] += r;
    }
    check_factor(shape.blocks, got.phi, g, rows.a, a_weights, times);
    check_factor(shape.second, got.second, g, rows.g, g_weights, times);
    // Squares in float runs of 8, the rest in double.
    const double bound = 16 * kFloatEps * times;
    CHECK_NEAR(got.denominator[static_cast<size_t>(g)], times * sums[0], 2 * bound * sums[0]);
    CHECK_NEAR(got.totals[static_cast<size_t>(g)], times * sums[1], bound * sums[1]);
    CHECK_NEAR(got.totals[static_cast<size_t>(c.groups + g)], times * sums[2], bound * sums[2]);
  }
  CHECK_EQ(got.totals.back(), static_cast<double>(times * c.samples * signal.height * signal.width));
  CHECK_EQ(got.record.samples, times * c.samples);
  CHECK_EQ(got.record.poisoned, 0);
}

constexpr int32_t kBoth[] = {LNGD_APPROXIMATION_KFAC, LNGD_APPROXIMATION_TKFAC};

void begin(const Schedule& schedule = kSchedules[0]) {
  start();
  REQUIRE(lngd::cuda::prepare_layer_statistics(simt::device().shared_per_block) == cudaSuccess &&
          lngd::cuda::prepare_conv_statistics(simt::device().shared_per_block) == cudaSuccess);
  simt::set_schedule(schedule.order, schedule.seed);
}

} // namespace

// B smaller and larger than a tile, and in blocks, rows that are split among blocks and rows that are not.
TEST(kernel_paired_statistics_dense) {
  for (const Schedule& schedule : kSchedules) {
    begin(schedule);
    for (const int32_t approximation : kBoth) {
      check_case({70, 30, 40, 1, 1, 1, 1, 0, 1, true, true, 16, 4, true}, approximation);
      check_case({70, 30, 40, 1, 1, 1, 1, 0, 1, true, false, 16, 132, true}, approximation);
      check_case({70, 30, 40, 1, 1, 1, 1, 0, 1, true, true, 16, 4, true, 16}, approximation);
      if (schedule.order != simt::Order::Forward) continue;
      check_case({5, 9, 150, 1, 1, 1, 1, 0, 1, false, true, 0, 4, true}, approximation, 3);
      check_case({1, 1, 1, 1, 1, 1, 1, 0, 1, true, true, 128, 4, true}, approximation);
      check_case({40, 9, 300, 1, 1, 1, 1, 0, 1, false, true, 0, 132, true, 128}, approximation);
      check_case({40, 9, 300, 1, 1, 1, 1, 0, 1, false, false, 0, 4, true, 140}, approximation); // two tiles each
    }
  }
  begin();
}

TEST(kernel_paired_statistics_convolutions) {
  for (const Schedule& schedule : kSchedules) {
    begin(schedule);
    for (const int32_t approximation : kBoth) {
      check_case({3, 4, 6, 7, 5, 3, 2, 1, 2, true, false, 8, 132, false}, approximation);
      check_case({3, 4, 22, 7, 5, 3, 2, 1, 2, true, true, 8, 4, false, 5}, approximation);
      if (schedule.order != simt::Order::Forward) continue;
      check_case({4, 8, 8, 9, 8, 3, 1, 1, 1, true, true, 0, 4, false}, approximation, 2);
      check_case({2, 5, 5, 6, 6, 3, 1, 1, 5, true, true, 128, 4, false}, approximation);
      check_case({3, 12, 8, 5, 5, 1, 1, 0, 1, false, true, 128, 1, false}, approximation);
    }
  }
  begin();
}

// The same bits from the same call, whatever the order of blocks.
TEST(kernel_paired_statistics_bits) {
  begin();
  const Case c{40, 20, 30, 3, 3, 1, 1, 0, 1, true, true, 0, 132, false};
  const LayerShape shape = shape_of(c, LNGD_APPROXIMATION_TKFAC);
  const Images inputs(c.samples, c.channels, 3, 3, true, 3), signal(c.samples, c.outputs, 3, 3, true, 4);
  const Results one = run(c, shape, inputs, signal, 1);
  simt::set_schedule(simt::Order::Random, 77);
  const Results two = run(c, shape, inputs, signal, 1);
  CHECK(one.phi == two.phi && one.second == two.second && one.denominator == two.denominator &&
        one.totals == two.totals);
  begin();
}
