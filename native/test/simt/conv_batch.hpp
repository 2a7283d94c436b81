// SPDX-License-Identifier: Apache-2.0
// A batch of a convolution in device memory, in any order of its indices, and its double twin: patches written out.
#ifndef LNGD_SIMT_CONV_BATCH_HPP
#define LNGD_SIMT_CONV_BATCH_HPP

#include "statistics_fixture.hpp"

// Not `fixture`: dense_batch.hpp has types of the same names there.
namespace conv_fixture {

using namespace fixture;

using lngd::Activations;
using lngd::ConvGeometry;
using lngd::ConvStatisticsArgs;
using lngd::cuda::StatisticsWorkspace;

// How samples x channels x height x width lie in memory.
enum class Order { Nchw, Nhwc, OddNchw, OddNhwc, WidthFirst };
constexpr Order kOrders[] = {Order::Nchw, Order::Nhwc, Order::OddNchw, Order::OddNhwc, Order::WidthFirst};

inline const char* name(Order order) {
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

inline std::string text(const Case& c) {
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

inline ConvGeometry square(int32_t kernel, int32_t stride, int32_t padding, int32_t dilation = 1) {
  ConvGeometry g;
  for (int i = 0; i < 2; ++i) {
    g.kernel[i] = kernel;
    g.stride[i] = stride;
    g.before[i] = g.after[i] = padding;
    g.dilation[i] = dilation;
  }
  return g;
}

inline ConvGeometry line(int32_t kernel, int32_t stride, int32_t before, int32_t after, int32_t dilation) {
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

} // namespace conv_fixture
#endif
