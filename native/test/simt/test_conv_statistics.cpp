// SPDX-License-Identifier: Apache-2.0
// conv_statistics.cu against patches that are written out, in double precision.
#include "backend/cuda/conv_loader.cuh"
#include "statistics_fixture.hpp"

namespace {

using namespace fixture;
using lngd::Activations;
using lngd::ConvGeometry;
using lngd::ConvStatisticsArgs;
using lngd::cuda::StatisticsWorkspace;

// How samples x channels x height x width lie in memory.
enum class Order { Nchw, Nhwc, OddNchw, OddNhwc, WidthFirst };
constexpr Order kOrders[] = {Order::Nchw, Order::Nhwc, Order::OddNchw, Order::OddNhwc, Order::WidthFirst};

const char* name(Order order) {
  constexpr const char* kNames[] = {"NCHW", "NHWC", "NCHW with gaps, off by a float", "NHWC with gaps, off by a float",
                                    "every other float, rows and columns exchanged"};
  return kNames[static_cast<int>(order)];
}

// Gaps are NaN: an element that should not be read shows.
class Images {
 public:
  Images(int64_t samples, int64_t channels, int32_t height, int32_t width, Order order,
         const std::vector<float>& values)
      : channels_(channels), height_(height), width_(width) {
    const int64_t c = channels, h = height, w = width;
    switch (order) {
      case Order::Nchw:
        set(0, c * h * w, h * w, w, 1);
        break;
      case Order::Nhwc:
        set(0, c * h * w, 1, w * c, c);
        break;
      case Order::OddNchw:
        set(1, c * (h + 1) * (w + 3) + 1, (h + 1) * (w + 3), w + 3, 1);
        break;
      case Order::OddNhwc:
        set(1, (h + 1) * (w + 1) * (c + 1), 1, (w + 1) * (c + 1), c + 1);
        break;
      case Order::WidthFirst:
        set(0, 2 * c * h * w, 2 * h * w, 2, 2 * h);
        break;
    }
    const int64_t last = at(samples - 1, c - 1, h - 1, w - 1);
    std::vector<float> raw(static_cast<size_t>(last + 1), std::nanf(""));
    size_t next = 0;
    for (int64_t n = 0; n < samples; ++n)
      for (int64_t i = 0; i < c; ++i)
        for (int64_t y = 0; y < h; ++y)
          for (int64_t x = 0; x < w; ++x) raw[static_cast<size_t>(at(n, i, y, x))] = values[next++];
    memory_ = std::make_unique<Array<float>>(raw);
  }
  Activations view(int64_t first) const {
    Activations a{};
    a.data = memory_->data + at(first, 0, 0, 0);
    for (int i = 0; i < 4; ++i) a.stride[i] = stride_[i];
    a.height = height_;
    a.width = width_;
    a.device = true;
    return a;
  }

 private:
  void set(int64_t offset, int64_t n, int64_t c, int64_t y, int64_t x) {
    offset_ = offset;
    stride_[0] = n;
    stride_[1] = c;
    stride_[2] = y;
    stride_[3] = x;
  }
  int64_t at(int64_t n, int64_t c, int64_t y, int64_t x) const {
    return offset_ + n * stride_[0] + c * stride_[1] + y * stride_[2] + x * stride_[3];
  }
  int64_t channels_;
  int32_t height_, width_;
  int64_t offset_ = 0, stride_[4] = {};
  std::unique_ptr<Array<float>> memory_;
};

struct Case {
  int64_t samples, channels, outputs; // channels and outputs of all groups
  int32_t height, width;
  ConvGeometry conv;
  int64_t groups = 1;
  bool bias = true;
  int32_t block = 128;
  Order order = Order::Nchw;
  Precision precision = Precision::TripleTf32;
  int32_t multiprocessors = 4;
  int32_t output = LNGD_OUTPUT_HIDDEN, activation = LNGD_ACTIVATION_RELU;
  int32_t fisher = LNGD_FISHER_EXPECTED;
  int64_t first_sample = 0;

  int64_t out_height() const { return conv.positions(0, height); }
  int64_t out_width() const { return conv.positions(1, width); }
  int64_t positions() const { return out_height() * out_width(); }
};

std::string text(const Case& c) {
  const ConvGeometry& g = c.conv;
  std::string s = std::to_string(c.samples) + " x " + std::to_string(c.channels) + " x " + std::to_string(c.height) +
                  " x " + std::to_string(c.width) + " -> " + std::to_string(c.outputs) + ", groups " +
                  std::to_string(c.groups) + ", blocks of " + std::to_string(c.block) + ", " + name(c.order) + ", " +
                  fixture::name(c.precision);
  for (int i = 0; i < 2; ++i)
    s += std::string(i ? ", x" : ", y") + ": kernel " + std::to_string(g.kernel[i]) + " stride " +
         std::to_string(g.stride[i]) + " padding " + std::to_string(g.before[i]) + ", " + std::to_string(g.after[i]) +
         " dilation " + std::to_string(g.dilation[i]);
  return s;
}

ConvGeometry square(int32_t kernel, int32_t stride, int32_t padding, int32_t dilation = 1) {
  ConvGeometry g;
  for (int i = 0; i < 2; ++i) {
    g.kernel[i] = kernel;
    g.stride[i] = stride;
    g.before[i] = g.after[i] = padding;
    g.dilation[i] = dilation;
  }
  return g;
}

ConvGeometry line(int32_t kernel, int32_t stride, int32_t before, int32_t after, int32_t dilation) {
  ConvGeometry g;
  g.kernel[1] = kernel;
  g.stride[1] = stride;
  g.before[1] = before;
  g.after[1] = after;
  g.dilation[1] = dilation;
  return g;
}

constexpr uint64_t kSeed = 0x123456789abcdef0u;
constexpr int64_t kStep = 7;

struct Batch {
  Case c;
  LayerShape shape{};
  std::vector<float> a, x; // NCHW
  std::unique_ptr<Images> inputs, signal;
  size_t bytes = 0;
  std::unique_ptr<Array<unsigned char>> workspace;

  explicit Batch(const Case& which, uint32_t seed = 5) : c(which) {
    Numbers numbers(seed);
    a = numbers.vector(c.samples * c.channels * c.height * c.width, 2);
    x = numbers.vector(c.samples * c.outputs * c.positions(), 3);
    shape.index = 3;
    shape.inputs = c.channels / c.groups * c.conv.kernel[0] * c.conv.kernel[1];
    shape.outputs = c.outputs;
    shape.bias = c.bias;
    shape.convolution = true;
    shape.conv = c.conv;
    shape.groups = c.groups;
    shape.d = shape.inputs + (c.bias ? 1 : 0);
    shape.blocks = lngd::BlockLayout(shape.d, c.block, c.groups);
    shape.activation = c.activation;
    shape.output = c.output;
    shape.fisher = c.fisher;
    store();
  }
  void store() {
    inputs = std::make_unique<Images>(c.samples, c.channels, c.height, c.width, c.order, a);
    signal = std::make_unique<Images>(c.samples, c.outputs, static_cast<int32_t>(c.out_height()),
                                      static_cast<int32_t>(c.out_width()), c.order, x);
    bytes = lngd::cuda::conv_statistics_workspace(shape, inputs->view(0), c.samples, c.multiprocessors);
    workspace = std::make_unique<Array<unsigned char>>(bytes);
  }
  ConvStatisticsArgs args(LayerMemory* memory, int64_t first = 0, int64_t count = -1) const {
    return {&shape,
            memory,
            inputs->view(first),
            signal->view(first),
            int{LNGD_SIGNAL_PRE_ACTIVATIONS},
            count < 0 ? c.samples : count,
            c.first_sample + first,
            kStep,
            kSeed,
            LNGD_PRECISION_TF32X3};
  }
  StatisticsWorkspace room() const {
    return {workspace->data, bytes, c.multiprocessors, simt::device().shared_per_block};
  }

  // Patches as the comment of ConvGeometry says, and q of every position, group by group.
  std::vector<RowTwin> twin() const {
    lngd_layer_config layer{};
    layer.activation = c.activation;
    layer.output = c.output;
    const twin::Noise noise{kSeed, 3, kStep};
    const int64_t m = c.outputs / c.groups, channels = c.channels / c.groups, positions = c.positions();
    std::vector<RowTwin> groups;
    for (int64_t g = 0; g < c.groups; ++g) groups.push_back({c.samples * positions, shape.d, m, {}, {}});
    for (int64_t n = 0; n < c.samples; ++n)
      for (int64_t t = 0; t < positions; ++t) {
        std::vector<double> s;
        for (int64_t i = 0; i < c.outputs; ++i)
          s.push_back(x[static_cast<size_t>((n * c.outputs + i) * positions + t)]);
        const std::vector<double> q = twin::fisher_row(layer, c.fisher, noise, (c.first_sample + n) * positions + t, s,
                                                       LNGD_SIGNAL_PRE_ACTIVATIONS);
        for (int64_t g = 0; g < c.groups; ++g) {
          RowTwin& rows = groups[static_cast<size_t>(g)];
          rows.q.insert(rows.q.end(), q.begin() + g * m, q.begin() + (g + 1) * m);
          for (int64_t i = 0; i < channels; ++i)
            for (int32_t ky = 0; ky < c.conv.kernel[0]; ++ky)
              for (int32_t kx = 0; kx < c.conv.kernel[1]; ++kx) {
                const int64_t y = t / c.out_width() * c.conv.stride[0] - c.conv.before[0] + ky * c.conv.dilation[0];
                const int64_t z = t % c.out_width() * c.conv.stride[1] - c.conv.before[1] + kx * c.conv.dilation[1];
                const bool inside = y >= 0 && y < c.height && z >= 0 && z < c.width;
                const int64_t at = ((n * c.channels + g * channels + i) * c.height + y) * c.width + z;
                rows.a.push_back(inside ? static_cast<double>(a[static_cast<size_t>(at)]) : 0.0);
              }
          if (c.bias) rows.a.push_back(1);
        }
      }
    return groups;
  }
};

void launch(const Batch& batch, Sums& sums, int64_t first = 0, int64_t count = -1) {
  LayerMemory memory = sums.memory();
  CHECK_EQ(
      lngd::cuda::launch_conv_statistics(batch.args(&memory, first, count), batch.room(), batch.c.precision, nullptr),
      cudaSuccess);
  finish_launches();
}

void check_case(const Case& c) {
  const conformance::Scope scope(text(c));
  const Batch batch(c);
  Sums sums(batch.shape);
  launch(batch, sums);
  check_sums(batch.shape, sums, batch.twin(), c.precision, 8 * kFloatEps); // relu: q is 0 or 1
  CHECK_EQ(sums.record().samples, c.samples);
  CHECK_EQ(sums.record().poisoned, 0);
}

void begin(const Schedule& schedule = kSchedules[0], const char* device = nullptr) {
  start();
  REQUIRE(simt::set_device(device));
  REQUIRE(lngd::cuda::prepare_conv_statistics(simt::device().shared_per_block) == cudaSuccess);
  simt::set_schedule(schedule.order, schedule.seed);
}

} // namespace

// Every geometry in every order of memory.
TEST(kernel_conv_statistics_geometries) {
  for (const Schedule& schedule : kSchedules) {
    begin(schedule);
    for (const Order order : kOrders) {
      if (schedule.order != simt::Order::Forward && order != Order::Nhwc) continue;
      ConvGeometry uneven = square(3, 2, 1);
      uneven.kernel[0] = 2;
      uneven.stride[1] = 1;
      uneven.after[0] = 0;
      uneven.before[1] = 2;
      uneven.dilation[1] = 2;
      check_case({2, 3, 5, 7, 9, square(3, 1, 1), 1, true, 128, order});
      check_case({3, 4, 5, 6, 5, square(1, 1, 0), 1, true, 128, order});
      check_case({3, 8, 5, 6, 5, square(1, 2, 0), 1, false, 128, order});
      check_case({2, 2, 3, 9, 9, square(3, 2, 0, 2), 1, false, 128, order});
      check_case({2, 3, 4, 6, 8, uneven, 1, true, 128, order});
      check_case({3, 5, 4, 1, 20, line(5, 2, 3, 1, 2), 1, true, 128, order});
      check_case({2, 6, 4, 5, 5, square(3, 1, 1), 2, true, 128, order});
    }
  }
  begin();
}

// Blocks that cut channels apart, off-diagonal tiles, every size of tile, depthwise groups.
TEST(kernel_conv_statistics_blocks) {
  begin();
  for (const Order order : {Order::Nchw, Order::Nhwc}) {
    check_case({2, 16, 6, 6, 6, square(3, 1, 1), 1, true, 128, order});   // 128 + 17
    check_case({1, 16, 6, 6, 6, square(3, 1, 1), 1, true, 0, order});     // 145: 3 tiles
    check_case({2, 16, 6, 5, 5, square(3, 1, 1), 1, true, 40, order});    // four blocks
    check_case({2, 7, 6, 8, 8, square(3, 1, 1), 1, false, 128, order});   // 63
    check_case({3, 6, 6, 8, 8, square(3, 1, 1), 6, true, 128, order});    // depthwise
    check_case({3, 6, 12, 8, 8, square(3, 1, 1), 6, false, 5, order});    // and two blocks each
    check_case({2, 136, 70, 5, 4, square(1, 1, 0), 1, true, 128, order}); // 1 x 1
    check_case({2, 24, 8, 5, 4, square(1, 1, 0), 2, true, 128, order});   // in groups
    check_case({2, 12, 8, 5, 4, square(1, 1, 0), 2, false, 128, order});  // of 6: no quads
  }
}

// Channels side by side, 16 bytes at a time where four of them begin with a multiple of 4: channels that are and are
// not, groups that begin with one and do not, dilation, blocks that cut channels apart, several chunks, two stages and
// three.
TEST(kernel_conv_statistics_channels_last) {
  for (const char* device : {"sm_80", "sm_86", "sm_90"})
    for (const Schedule& schedule : kSchedules) {
      if (schedule.order != simt::Order::Forward && std::string(device) != "sm_86") continue;
      const conformance::Scope scope(device);
      begin(schedule, device);
      const auto check = [](Case c) {
        c.order = Order::Nhwc;
        check_case(c);
      };
      check({4, 20, 6, 5, 5, square(3, 1, 1), 1, true, 128});  // 128 + 53, 4 chunks
      check({4, 16, 6, 5, 6, square(3, 1, 2, 2), 1, true, 0}); // dilation; a square tile and one of 17 below it
      check({3, 24, 6, 4, 5, square(3, 1, 1), 2, false, 128}); // groups of 12: quads
      check({5, 12, 6, 4, 5, square(3, 1, 1), 2, true, 128});  // groups of 6: quads of the first begin with 0, of the
                                                               // second with 2
      if (schedule.order != simt::Order::Forward || std::string(device) != "sm_80") continue;
      check({3, 10, 6, 6, 6, square(3, 2, 1), 1, true, 128}); // no quads
      check({2, 12, 6, 7, 7, square(5, 1, 2), 1, true, 100}); // 25 elements, blocks that begin amid a channel
      check({9, 8, 6, 4, 4, square(2, 1, 0), 1, true, 128});  // 33 columns
      check({9, 4, 6, 6, 4, square(2, 2, 0), 1, true, 128});  // 17 columns
    }
  begin();
}

// Places of a tile's columns: each once, copies of 16 bytes aligned and of one kernel element, as many as there can be.
TEST(conv_loader_places) {
  using Places = lngd::cuda::ConvLoader::Places;
  long wrong = 0;
  for (const int taps : {2, 4, 9, 25, 49})
    for (const int offset : {0, 6, 12, 13})
      for (const int first : {0, 1, 64, 128, 300})
        for (const int count : {0, 1, 5, 37, 100, 128})
          for (const bool aligned : {true, false}) {
            Places p{taps, offset, first, first + count, aligned, 0};
            int most = 0;
            for (int tap = 0; tap < taps; ++tap) {
              p.quads += (p.range(tap).last - p.range(tap).first) / 4;
              for (int c = 0; aligned && c * taps + tap < first + count; ++c)
                most += (offset + c) % 4 == 0 && c * taps + tap >= first && (c + 3) * taps + tap < first + count;
            }
            wrong += p.quads != most;
            std::vector<int> at(static_cast<size_t>(count), -1);
            for (int j = first; j < first + count; ++j) {
              const lngd::cuda::SyrkPlace place = p.of(j);
              const bool inside = place.position >= 0 && place.position < count;
              wrong += !inside || at[static_cast<size_t>(place.position)] >= 0;
              if (!inside) continue;
              at[static_cast<size_t>(place.position)] = j;
              const bool quad = place.position < 4 * p.quads;
              wrong += place.copy != (quad ? place.position / 4 : place.position - 3 * p.quads);
              wrong += place.begins != (!quad || place.position % 4 == 0);
            }
            for (int q = 0; q < p.quads; ++q)
              for (int e = 0; e < 4; ++e)
                wrong += at[static_cast<size_t>(4 * q + e)] != at[static_cast<size_t>(4 * q)] + e * taps ||
                         (offset + at[static_cast<size_t>(4 * q)] / taps) % 4 != 0;
          }
  CHECK_EQ(wrong, 0);
}

TEST(kernel_conv_statistics_precisions) {
  begin();
  for (const Precision precision : {Precision::Float32, Precision::TripleTf32, Precision::Tf32, Precision::Bfloat16}) {
    check_case({2, 12, 6, 6, 6, square(3, 1, 1), 1, true, 128, Order::Nchw, precision});
    check_case({2, 16, 6, 4, 6, square(3, 1, 1), 1, true, 0, Order::Nhwc, precision});
    check_case({2, 3, 6, 9, 9, square(3, 1, 1), 1, true, 128, Order::Nhwc, precision});
  }
}

// Many rows for few blocks: chunks one after another in the row pass, splits in weighted_syrk; wide signals.
TEST(kernel_conv_statistics_splits) {
  for (const Schedule& schedule : kSchedules) {
    begin(schedule);
    for (const int32_t multiprocessors : {1, 132}) {
      Case c{5, 3, 140, 12, 12, square(3, 1, 1)};
      c.multiprocessors = multiprocessors;
      check_case(c);
    }
  }
  begin();
}

// The noise has the number ((first_sample + n) positions + position) outputs + i, in every group.
TEST(kernel_conv_statistics_sampled) {
  begin();
  for (const int64_t groups : {1, 3})
    for (const int32_t output : {LNGD_OUTPUT_HIDDEN, LNGD_OUTPUT_SIGMOID}) {
      Case c{5, 3, 9, 5, 4, square(3, 1, 0), groups};
      c.fisher = LNGD_FISHER_SAMPLED;
      c.activation = LNGD_ACTIVATION_IDENTITY;
      c.output = output;
      c.first_sample = 2;
      const conformance::Scope scope(text(c));
      const Batch batch(c);
      Sums sums(batch.shape);
      launch(batch, sums, 0, 2);
      launch(batch, sums, 2, 3);
      check_sums(batch.shape, sums, batch.twin(), c.precision, 16 * kFloatEps); // normals rounded, squared
    }
}

// q, r and c of every position, row by row.
TEST(kernel_conv_statistics_rows) {
  begin();
  for (const Order order : kOrders) {
    Case c{2, 6, 10, 5, 7, square(3, 2, 1), 2};
    c.order = order;
    const conformance::Scope scope(text(c));
    const Batch batch(c);
    const auto rows = static_cast<size_t>(c.samples * c.positions());
    const Array<float> q(rows * 10), r(rows * 2), c_of(rows * 2);
    CHECK_EQ(
        lngd::cuda::launch_conv_fisher_rows(batch.args(nullptr), batch.room(), {q.data, r.data, c_of.data}, nullptr),
        cudaSuccess);
    finish_launches();
    const std::vector<float> q_read = q.read(), r_read = r.read(), c_read = c_of.read();
    const std::vector<RowTwin> twin = batch.twin();
    for (size_t n = 0; n < rows; ++n)
      for (size_t g = 0; g < 2; ++g) {
        const auto row = static_cast<int64_t>(n);
        for (size_t i = 0; i < 5; ++i) CHECK_EQ(double{q_read[n * 10 + g * 5 + i]}, twin[g].q[n * 5 + i]); // 0 or 1
        CHECK_EQ(double{r_read[n * 2 + g]}, twin[g].r(row));
        CHECK_NEAR(c_read[n * 2 + g], twin[g].c(row), 8 * kFloatEps * twin[g].c(row)); // squares of 3, rounded
      }
  }
}

// A NaN that a patch reads, and one that only padding or stride leave unread.
TEST(kernel_conv_statistics_poison) {
  begin();
  for (const bool read : {true, false}) {
    Case c{2, 2, 3, 5, 5, square(1, 2, 0)};
    Batch batch(c);
    batch.a[read ? 12 : 6] = std::nanf(""); // (2, 2) and (1, 1) of the first channel
    batch.store();
    Sums sums(batch.shape);
    launch(batch, sums);
    CHECK_EQ(sums.record().poisoned, read ? 1 : 0);
    if (!read) check_sums(batch.shape, sums, batch.twin(), c.precision, 8 * kFloatEps);
  }
  // In the signal of one group of three.
  Case c{2, 3, 3, 5, 5, square(3, 1, 1), 3};
  Batch batch(c);
  batch.x[30] = std::nanf("");
  batch.store();
  Sums sums(batch.shape);
  launch(batch, sums);
  CHECK_EQ(sums.record().poisoned, 1);
}

TEST(kernel_conv_statistics_refuses) {
  begin();
  const Batch batch({2, 2, 3, 5, 5, square(3, 1, 1)});
  Sums sums(batch.shape);
  LayerMemory memory = sums.memory();
  StatisticsWorkspace room = batch.room();
  --room.bytes;
  CHECK_EQ(lngd::cuda::launch_conv_statistics(batch.args(&memory), room, Precision::Tf32, nullptr),
           cudaErrorInvalidValue);
  ConvStatisticsArgs large = batch.args(&memory);
  large.samples = INT32_MAX / 25 + 1; // rows beyond 31 bits
  CHECK_EQ(lngd::cuda::launch_conv_statistics(large, batch.room(), Precision::Tf32, nullptr), cudaErrorInvalidValue);
  for (int nth = 1; nth <= 4; ++nth) {
    simt::inject_fault("launch", nth, cudaErrorLaunchOutOfResources);
    CHECK_EQ(lngd::cuda::launch_conv_statistics(batch.args(&memory), batch.room(), Precision::Tf32, nullptr),
             cudaErrorLaunchOutOfResources);
  }
}
