// SPDX-License-Identifier: Apache-2.0
// gradient_scale.cu: the norm of all gradients in double precision, of layers in layouts that are hard to serve and of
// parameters; what clipping, the scale of a loss and the flag make of it; and that the sums do not depend on the order
// in which blocks run.
#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "backend/cuda/gradient_scale.h"
#include "backend/cuda/parameter.h"
#include "layer_fixture.hpp"

namespace {

using namespace fixture;
using lngd::GradientScale;
using lngd::Scaling;
using lngd::cuda::DeviceLayer;
using lngd::cuda::StepSettings;
using lngd::cuda::UpdateTask;

struct Network {
  std::vector<std::unique_ptr<Layer>> layers;
  std::vector<std::unique_ptr<Tensor>> tensors; // of parameters
  std::vector<DeviceLayer> table;
  std::vector<UpdateTask> tasks;
  double square = 0;

  void add_layer(int32_t outputs, int32_t inputs, bool bias, Layout layout, float size = 1) {
    layers.push_back(std::make_unique<Layer>(Shape{outputs, inputs, bias, layout, 0}, LayerRecord{},
                                             static_cast<uint32_t>(table.size() + 3), 1.0f, size));
    table.push_back(layers.back()->device());
    lngd::cuda::append_update_tasks(static_cast<int32_t>(table.size()) - 1, table.back(), 500, tasks);
    for (const float g : layers.back()->g) square += static_cast<double>(g) * g;
    for (const float g : layers.back()->gb) square += bias ? static_cast<double>(g) * g : 0.0;
  }
  void add_parameter(int32_t rows, int32_t columns, Layout layout) {
    Numbers numbers(static_cast<uint32_t>(77 + table.size()));
    const std::vector<float> g = numbers.vector(int64_t{rows} * columns);
    tensors.push_back(std::make_unique<Tensor>(rows, columns, layout, g));
    DeviceLayer layer{};
    layer.weight_gradients = tensors.back()->strided();
    layer.inputs = rows * columns;
    layer.outputs = 1;
    layer.parameter.columns = columns;
    table.push_back(layer);
    lngd::cuda::append_parameter_tasks(static_cast<int32_t>(table.size()) - 1, layer, 64, tasks);
    for (const float x : g) square += static_cast<double>(x) * x;
  }
};

struct Result {
  GradientScale scale;
  double norm;
};

// The two launches, as a step makes them.
Result run(const Network& net, double largest, const Scaling& scaling = {}) {
  StepSettings before{};
  before.scaling = scaling;
  const Array<StepSettings> settings(std::vector<StepSettings>{before});
  const Array<DeviceLayer> table(net.table);
  const Array<UpdateTask> tasks(net.tasks);
  const Array<double> squares(net.tasks.size()), norm(std::vector<double>{-1});
  const auto count = static_cast<int32_t>(net.tasks.size());
  CHECK_EQ(lngd::cuda::launch_gradient_squares(table.data, tasks.data, count, squares.data, nullptr), cudaSuccess);
  CHECK_EQ(lngd::cuda::launch_gradient_scale(settings.data, squares.data, count, largest, norm.data, nullptr),
           cudaSuccess);
  finish_launches();
  return {settings.read()[0].gradients, norm.read()[0]};
}

} // namespace

TEST(kernel_gradient_scale) {
  start();
  for (const Layout layout : kLayouts) {
    const conformance::Scope scope(name(layout));
    Network net;
    net.add_layer(7, 5, true, layout);
    net.add_layer(1, 1, false, layout);
    net.add_layer(130, 33, false, layout);
    net.add_layer(3, 700, true, layout);
    net.add_parameter(1, 37, layout);
    net.add_parameter(9, 31, layout);
    net.add_parameter(1, 1, layout);
    const double norm = std::sqrt(net.square);
    double first = 0;
    for (const Schedule& schedule : kSchedules) {
      simt::set_schedule(schedule.order, schedule.seed);
      const Result clipped = run(net, norm / 4), free = run(net, 2 * norm);
      if (first == 0) first = clipped.norm;
      CHECK_EQ(clipped.norm, first); // whatever the order
      CHECK_NEAR(clipped.norm, norm, 1e-14 * norm);
      CHECK_NEAR(clipped.scale.factor, norm / 4 / (norm + 1e-6), 0x1p-23);
      CHECK_EQ(clipped.scale.skip, 0);
      CHECK_EQ(free.scale.factor, 1.0f);
      CHECK_EQ(free.scale.skip, 0);
    }
  }
  simt::set_schedule(simt::Order::Forward, 1);
}

TEST(kernel_gradient_scale_not_finite) {
  start();
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    Network net;
    net.add_layer(4, 6, true, Layout::Rows);
    net.add_layer(3, 2, false, Layout::Rows, bad);
    const Result result = run(net, 1);
    CHECK_EQ(result.scale.skip, 1);
    CHECK(!std::isfinite(result.norm));
  }
  Network net; // squares that no float holds
  net.add_layer(40, 60, false, Layout::Rows, 3e38f);
  const Result result = run(net, 1);
  CHECK_EQ(result.scale.skip, 0);
  CHECK_NEAR(result.norm, std::sqrt(net.square), 1e-14 * std::sqrt(net.square));
}

TEST(kernel_gradient_scale_of_a_scaled_loss) {
  start();
  Network net;
  net.add_layer(5, 9, true, Layout::Columns);
  const double norm = std::sqrt(net.square);
  const Array<float> scale(std::vector<float>{512.0f}), flag(std::vector<float>{0.0f});
  Scaling scaling;
  scaling.scale = scale.data;
  scaling.found_inf = flag.data;
  Result result = run(net, 0, scaling); // nothing is clipped
  CHECK_EQ(result.scale.factor, 1 / 512.0f);
  CHECK_EQ(result.scale.inverse, 1 / 512.0);
  CHECK_EQ(result.scale.skip, 0);
  CHECK_EQ(result.norm, -1.0);
  result = run(net, norm / 1024, scaling);
  CHECK_NEAR(result.norm, norm / 512, 1e-14 * norm);
  CHECK_NEAR(result.scale.factor * 512.0, norm / 1024 / (norm / 512 + 1e-6), 0x1p-23);
  for (const float found : {1.0f, -2.0f, std::nanf("")}) {
    const Array<float> set(std::vector<float>{found});
    scaling.found_inf = set.data;
    CHECK_EQ(run(net, 0, scaling).scale.skip, 1);
  }
  scaling.found_inf = nullptr;
  for (const float bad : {0.0f, -1.0f, std::numeric_limits<float>::infinity(), std::nanf("")}) {
    const Array<float> other(std::vector<float>{bad});
    scaling.scale = other.data;
    CHECK_EQ(run(net, 0, scaling).scale.skip, 1);
  }
  scaling = {};
  scaling.inverse = 0.25;
  scaling.skip = 1;
  result = run(net, 0, scaling);
  CHECK_EQ(result.scale.factor, 0.25f);
  CHECK_EQ(result.scale.skip, 1);
}
