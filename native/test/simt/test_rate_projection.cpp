// SPDX-License-Identifier: Apache-2.0
// rate_projection.cu for convolutions: C = (1/N) sum_n (sum_t delta_nt^T D a_nt)^2 against patches written out in
// double.
#include <cmath>
#include <memory>
#include <string>

#include "backend/cuda/layer_rate.h"
#include "layer_fixture.hpp"

namespace {

using namespace fixture;
using lngd::Activations;
using lngd::ConvGeometry;
using lngd::cuda::ProjectionTask;
using lngd::cuda::RateLayer;

enum class Order { Nchw, Nhwc, NhwcOffByOne, WidthOutermost };
constexpr Order kOrders[] = {Order::Nchw, Order::Nhwc, Order::NhwcOffByOne, Order::WidthOutermost};

// n x c x h x w numbers of the caller's.
struct Images {
  int64_t n, c, h, w;
  std::vector<float> values; // NCHW
  std::unique_ptr<Array<float>> memory;
  Activations at;

  Images(int64_t samples, int64_t channels, int64_t height, int64_t width, Order order, Numbers& numbers)
      : n(samples), c(channels), h(height), w(width), values(numbers.vector(n * c * h * w)) {
    const int64_t offset = order == Order::NhwcOffByOne ? 1 : 0;
    const int64_t nchw[4] = {c * h * w, h * w, w, 1}, nhwc[4] = {c * h * w, 1, w * c, c},
                  odd[4] = {c * h, h, 1, n * c * h};
    const int64_t* const s = order == Order::Nchw ? nchw : order == Order::WidthOutermost ? odd : nhwc;
    std::vector<float> raw(static_cast<size_t>(n * c * h * w + offset), std::nanf(""));
    for (int64_t i = 0; i < n * c * h * w; ++i)
      raw[static_cast<size_t>(offset + i / (c * h * w) * s[0] + i / (h * w) % c * s[1] + i / w % h * s[2] +
                              i % w * s[3])] = values[static_cast<size_t>(i)];
    memory = std::make_unique<Array<float>>(raw);
    at.data = memory->data + offset;
    for (int k = 0; k < 4; ++k) at.stride[k] = s[k];
    at.height = static_cast<int32_t>(h);
    at.width = static_cast<int32_t>(w);
  }
  double operator()(int64_t i, int64_t channel, int64_t y, int64_t x) const { // zero outside
    if (y < 0 || y >= h || x < 0 || x >= w) return 0;
    return values[static_cast<size_t>(((i * c + channel) * h + y) * w + x)];
  }
};

struct Convolution {
  ConvGeometry geometry;
  int32_t channels, outputs, groups; // channels of a group, outputs of all
  bool bias;
  int32_t height, width;
  int32_t samples, used;
};

struct Expected {
  double curvature, bound;
};

Expected twin(const Convolution& c, const Images& inputs, const Images& deltas, const std::vector<float>& d,
              int64_t ldw) {
  const ConvGeometry& g = c.geometry;
  const int64_t out_h = g.positions(0, c.height), out_w = g.positions(1, c.width), taps = g.kernel[0] * g.kernel[1];
  double sum = 0, bound = 0;
  for (int64_t k = 0; k < c.used; ++k) {
    const int64_t n = k * c.samples / c.used;
    double x = 0, size = 0;
    for (int64_t i = 0; i < c.outputs; ++i)
      for (int64_t t = 0; t < out_h * out_w; ++t) {
        const int64_t oy = t / out_w, ox = t % out_w, group = i / (c.outputs / c.groups);
        const size_t row = static_cast<size_t>(i * ldw);
        double product = c.bias ? d[row + static_cast<size_t>(c.channels * taps)] : 0.0, terms = std::fabs(product);
        for (int64_t j = 0; j < c.channels * taps; ++j) {
          const int64_t y = oy * g.stride[0] - g.before[0] + j % taps / g.kernel[1] * g.dilation[0];
          const int64_t z = ox * g.stride[1] - g.before[1] + j % g.kernel[1] * g.dilation[1];
          const double term = d[row + static_cast<size_t>(j)] * inputs(n, group * c.channels + j / taps, y, z);
          product += term;
          terms += std::fabs(term);
        }
        x += deltas(n, i, oy, ox) * product;
        size += std::fabs(deltas(n, i, oy, ox)) * terms;
      }
    sum += x * x;
    // 3xTF32, 2^-21 of the terms; and eight products in float before they go on in double.
    const double error = 0x1p-20 * size;
    bound += 2 * std::fabs(x) * error + error * error;
  }
  return {sum / c.used, bound / c.used};
}

// C from the partial sums that the launch left, as layer_rate adds them.
void check(const Convolution& c, Order order, uint32_t seed) {
  Numbers numbers(seed);
  const ConvGeometry& g = c.geometry;
  lngd::LayerShape shape{};
  shape.conv = g;
  shape.convolution = true;
  shape.inputs = int64_t{c.channels} * g.kernel[0] * g.kernel[1];
  shape.outputs = c.outputs;
  shape.groups = c.groups;
  const int64_t ldw = lngd::padded(shape.inputs + c.bias);
  const std::vector<float> d = numbers.vector(c.outputs * ldw);
  const Images inputs(c.samples, c.channels * c.groups, c.height, c.width, order, numbers);
  const Images deltas(c.samples, c.outputs, g.positions(0, c.height), g.positions(1, c.width), order, numbers);
  LayerRecord before{};
  before.has_inverse = 1;
  const Array<LayerRecord> record(std::vector<LayerRecord>{before});
  const Array<float> direction(d);
  const Array<double> lambda(1);

  RateLayer layer{};
  layer.record = record.data;
  layer.lambda_phi = lambda.data;
  layer.rules.trust_slope = 1;
  layer.outputs = c.outputs;
  layer.inputs = static_cast<int32_t>(shape.inputs);
  layer.bias_column = c.bias;
  layer.groups = c.groups;
  layer.direction = direction.data;
  layer.ldw = ldw;
  layer.samples = c.samples;
  layer.used = c.used;
  lngd::cuda::set_rate_patches(shape, inputs.at, deltas.at, c.samples, layer);
  CHECK_EQ(layer.positions, deltas.h * deltas.w);
  const Array<double> partial(static_cast<size_t>(lngd::cuda::rate_partials(layer)));
  layer.partial = partial.data;
  std::vector<ProjectionTask> tasks;
  lngd::cuda::append_projection_tasks(0, layer, tasks);

  lngd::cuda::StepSettings settings{};
  settings.rules.rate = LNGD_RATE_EMPIRICAL;
  settings.rules.learning_rate = settings.rules.factor = settings.rules.mu = 1;
  const Array<lngd::cuda::StepSettings> device_settings(std::vector<lngd::cuda::StepSettings>{settings});
  const Array<RateLayer> device_layer(std::vector<RateLayer>{layer});
  const Array<ProjectionTask> device_tasks(tasks);
  CHECK_EQ(lngd::cuda::prepare_layer_rate(), cudaSuccess);
  CHECK_EQ(lngd::cuda::launch_conv_rate_projections(device_layer.data, device_tasks.data,
                                                    static_cast<int32_t>(tasks.size()), nullptr),
           cudaSuccess);
  CHECK_EQ(lngd::cuda::launch_layer_rate(device_settings.data, device_layer.data, 1, nullptr, nullptr, nullptr),
           cudaSuccess);
  finish_launches();
  const Expected expected = twin(c, inputs, deltas, d, ldw);
  CHECK_NEAR(record.read()[0].curvature, expected.curvature, expected.bound);
}

} // namespace

TEST(kernel_conv_rate_projections) {
  start();
  ConvGeometry plain, same, wide, dilated, line;
  same.kernel[0] = same.kernel[1] = 3;
  same.before[0] = same.before[1] = same.after[0] = same.after[1] = 1;
  wide = same;
  wide.kernel[1] = 5;
  wide.stride[0] = 2;
  wide.after[1] = 3;
  dilated = same;
  dilated.dilation[0] = 2;
  dilated.dilation[1] = 3;
  dilated.stride[1] = 2;
  dilated.before[1] = 4;
  line.kernel[1] = 4;
  line.before[1] = 2;
  // 162 and 225 columns of patches are more slices than there are slots; samples that end inside of a tile and that
  // fill several; groups of more and of fewer outputs than a tile has; 1 x 1, which is copied by fours where it can be,
  // and 3 x 3 over channels by fours, which cannot.
  const Convolution convolutions[] = {{same, 18, 20, 1, true, 5, 6, 5, 5},     {wide, 15, 10, 1, false, 6, 7, 4, 3},
                                      {dilated, 3, 12, 3, true, 9, 9, 3, 2},   {plain, 8, 260, 2, true, 3, 3, 4, 4},
                                      {plain, 132, 5, 1, false, 12, 11, 2, 2}, {line, 2, 3, 1, true, 1, 9, 7, 4},
                                      {same, 1, 4, 4, false, 4, 4, 6, 6},      {same, 8, 3, 1, true, 4, 5, 3, 3}};
  for (const Schedule& schedule : kSchedules)
    for (const Order order : kOrders) {
      if (schedule.order != simt::Order::Forward && order != Order::Nchw) continue; // time
      simt::set_schedule(schedule.order, schedule.seed);
      uint32_t seed = 0;
      for (const Convolution& c : convolutions) {
        const conformance::Scope scope("order " + std::to_string(static_cast<int>(order)) + ", convolution " +
                                       std::to_string(seed));
        check(c, order, ++seed);
      }
    }
  simt::set_schedule(simt::Order::Forward);
}
