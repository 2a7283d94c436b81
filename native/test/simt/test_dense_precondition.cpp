// SPDX-License-Identifier: Apache-2.0
// dense_precondition.cu against D = B^-1 G A^-1, and its inner products, in double precision. B in one block a group
// and in several.
#include <cmath>
#include <string>

#include "backend/cuda/second_factor.h"
#include "layer_fixture.hpp"

namespace {

using namespace fixture;
using lngd::BlockLayout;
using lngd::LayerShape;
using lngd::cuda::DeviceLayer;
using lngd::cuda::DirectionSums;
using lngd::cuda::DirectionTile;
using lngd::cuda::SecondLayer;
using lngd::cuda::StepSettings;

// Blocks of symmetric matrices; the padding of their rows is NaN.
struct Inverse {
  BlockLayout blocks;
  std::vector<float> values;
  std::unique_ptr<Array<float>> device;

  Inverse(const BlockLayout& layout, uint32_t seed) : blocks(layout) {
    Numbers numbers(seed);
    values.assign(static_cast<size_t>(blocks.floats()), std::nanf(""));
    for (int64_t k = 0; k < blocks.count(); ++k)
      for (int64_t i = 0; i < blocks.size(k); ++i)
        for (int64_t j = 0; j <= i; ++j) {
          const float x = numbers.next() + (i == j ? 2.0f : 0.0f);
          values[at(k, i, j)] = values[at(k, j, i)] = x;
        }
    device = std::make_unique<Array<float>>(values);
  }
  size_t at(int64_t k, int64_t i, int64_t j) const {
    return static_cast<size_t>(blocks.offset(k) + i * blocks.ld(k) + j);
  }
  // Element (i, j) of a group's whole matrix.
  double get(int64_t group, int64_t i, int64_t j) const {
    if (i / blocks.block != j / blocks.block) return 0;
    const int64_t k = group * blocks.group_blocks() + i / blocks.block;
    return values[at(k, i - blocks.begin(k), j - blocks.begin(k))];
  }
};

struct Size {
  Shape shape;
  int32_t groups, second_block; // 0: one block
};

struct Case {
  LayerShape shape{};
  std::unique_ptr<Layer> layer;
  Inverse a, b;

  Case(const Size& size, bool inverted, uint32_t seed, float weight_scale, float gradient_scale)
      : a(BlockLayout(size.shape.columns(), size.shape.block, size.groups), seed + 100),
        b(BlockLayout(size.shape.outputs / size.groups, size.second_block, size.groups), seed + 200) {
    shape.outputs = size.shape.outputs;
    shape.d = size.shape.columns();
    shape.groups = size.groups;
    shape.blocks = a.blocks;
    shape.second = b.blocks;
    LayerRecord record{};
    record.has_inverse = inverted;
    layer = std::make_unique<Layer>(size.shape, record, seed, weight_scale, gradient_scale);
  }
  double weight(int64_t i, int64_t j) const {
    const Shape& s = layer->shape;
    return j < s.inputs ? layer->w[static_cast<size_t>(i * s.inputs + j)] : layer->b[static_cast<size_t>(i)];
  }
  double gradient(int64_t i, int64_t j, double decay) const {
    const Shape& s = layer->shape;
    return decay * weight(i, j) +
           (j < s.inputs ? layer->g[static_cast<size_t>(i * s.inputs + j)] : layer->gb[static_cast<size_t>(i)]);
  }
};

struct Expected {
  double dg = 0, dd = 0, ww = 0, dg_size = 0, dd_size = 0;
};

// D element by element; returns the inner products of the twin.
Expected check_direction(const Case& c, double decay) {
  const int64_t m = c.shape.outputs, d = c.shape.d, height = m / c.shape.groups, ldw = c.layer->shape.ldw();
  const std::vector<float> got = c.layer->direction.read();
  const bool inverted = c.layer->record.read()[0].has_inverse != 0;
  double worst = 0;
  int64_t changed = 0;
  Expected sums;
  std::vector<double> x(static_cast<size_t>(m * d)), x_size(x);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < d; ++j)
      for (int64_t k = 0; k < d; ++k) {
        const double term = c.gradient(i, k, decay) * c.a.get(i / height, k, j);
        x[static_cast<size_t>(i * d + j)] += term;
        x_size[static_cast<size_t>(i * d + j)] += std::fabs(term);
      }
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < ldw; ++j) {
      const size_t own = static_cast<size_t>(i * ldw + j);
      if (j >= d || !inverted) {
        changed += got[own] != c.layer->d[own];
        continue;
      }
      double sum = 0, size = 0;
      for (int64_t k = 0; k < height; ++k) {
        const int64_t row = i / height * height + k;
        const double b = c.b.get(i / height, i % height, k);
        sum += b * x[static_cast<size_t>(row * d + j)];
        size += std::fabs(b) * x_size[static_cast<size_t>(row * d + j)];
      }
      // As in precondition, 2^-21 of the addends, twice.
      worst = std::max(worst, std::fabs(got[own] - sum) / size / 0x1p-20);
      const double g = c.gradient(i, j, decay), w = c.weight(i, j);
      sums.dg += sum * g;
      sums.dd += sum * sum;
      sums.ww += w * w;
      sums.dg_size += size * std::fabs(g);
      sums.dd_size += size * size;
    }
  CHECK_EQ(changed, 0);
  CHECK_WITHIN(worst, 1.0);
  return sums;
}

void check_layers(const std::vector<Size>& sizes, float decay, float weight_scale = 1, float gradient_scale = 1) {
  StepSettings settings{};
  settings.rules.weight_decay = decay == 0.0f ? 0.3 : static_cast<double>(decay);
  // The other decays are none of its business.
  settings.rules.decay = decay != 0.0f       ? LNGD_DECAY_COUPLED
                         : weight_scale == 1 ? LNGD_DECAY_TRUST
                                             : LNGD_DECAY_DECOUPLED;
  const Array<StepSettings> device_settings(std::vector<StepSettings>{settings});
  std::vector<std::unique_ptr<Case>> cases;
  std::vector<DeviceLayer> table;
  std::vector<SecondLayer> seconds;
  std::vector<DirectionTile> tiles, outputs;
  int64_t products = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    cases.push_back(
        std::make_unique<Case>(sizes[i], i != 1, static_cast<uint32_t>(50 + i), weight_scale, gradient_scale));
    const Case& c = *cases.back();
    const int32_t index = static_cast<int32_t>(i);
    table.push_back(c.layer->device());
    lngd::cuda::append_direction_tiles(index, c.shape.blocks, static_cast<int32_t>(c.shape.outputs), c.a.device->data,
                                       tiles);
    lngd::cuda::append_output_tiles(index, c.shape, c.b.device->data, outputs);
    seconds.push_back(lngd::cuda::second_layer(c.shape, products));
    products += lngd::cuda::second_product_floats(c.shape);
  }
  const Array<DeviceLayer> device_table(table);
  const Array<SecondLayer> device_seconds(seconds);
  const Array<DirectionTile> device_tiles(tiles), device_outputs(outputs);
  const Array<float> device_products(std::vector<float>(static_cast<size_t>(products), std::nanf("")));
  const Array<DirectionSums> device_sums(outputs.size());
  REQUIRE(cudaMemset(device_sums.data, 0, outputs.size() * sizeof(DirectionSums)) == cudaSuccess);
  CHECK_EQ(lngd::cuda::prepare_dense_precondition(), cudaSuccess);
  CHECK_EQ(lngd::cuda::launch_dense_precondition(
               device_settings.data, device_table.data, {device_seconds.data, device_products.data}, device_tiles.data,
               static_cast<int32_t>(tiles.size()), device_outputs.data, static_cast<int32_t>(outputs.size()), nullptr,
               0, device_sums.data, nullptr),
           cudaSuccess);
  finish_launches();
  const std::vector<DirectionSums> sums = device_sums.read();
  for (size_t i = 0; i < cases.size(); ++i) {
    const Shape& s = sizes[i].shape;
    const conformance::Scope scope("layer of " + std::to_string(s.outputs) + " x " + std::to_string(s.columns()) +
                                   ", blocks of " + std::to_string(s.block) + " and " +
                                   std::to_string(sizes[i].second_block) + ", " + name(s.layout));
    const Expected e = check_direction(*cases[i], decay);
    DirectionSums total{};
    for (size_t t = 0; t < outputs.size(); ++t) {
      if (outputs[t].layer != static_cast<int32_t>(i)) continue;
      total.direction_gradient += sums[t].direction_gradient;
      total.direction_direction += sums[t].direction_direction;
      total.weight_weight += sums[t].weight_weight;
    }
    // As D itself; and eight products in float before they go on in double.
    CHECK_NEAR(total.direction_gradient, e.dg, 0x1p-19 * e.dg_size);
    CHECK_NEAR(total.direction_direction, e.dd, 0x1p-19 * e.dd_size);
    if (i != 1) CHECK_NEAR(total.weight_weight, e.ww, 0x1p-21 * e.ww);
  }
}

} // namespace

TEST(kernel_dense_precondition) {
  start();
  for (const Schedule& schedule : kSchedules)
    for (const float decay : {0.0f, 0.3f})
      for (const Layout layout : kLayouts) {
        // Time: the schedules with one layout, the decay with two.
        if (schedule.order != simt::Order::Forward && layout != Layout::Rows) continue;
        if (decay != 0.0f && layout != Layout::Rows && layout != Layout::Columns) continue;
        simt::set_schedule(schedule.order, schedule.seed);
        // Time: several tiles in each block of B, of several groups.
        if (schedule.order == simt::Order::Forward && layout == Layout::PaddedRows)
          check_layers({{{392, 19, true, layout, 16}, 2, 128}, {{5, 3, false, layout, 0}, 1, 2}}, decay);
        // Ragged tiles of both products and slices of the second; a layer without an inverse; a bias that is a block of
        // its own; groups whose rows end inside of a tile; blocks of B that end inside of one, and whose sizes are not
        // multiples of 4.
        check_layers({{{70, 40, true, layout, 0}, 1, 0},
                      {{3, 9, false, layout, 128}, 1, 0},
                      {{1, 1, false, layout, 128}, 1, 0},
                      {{9, 128, true, layout, 128}, 1, 0},
                      {{21, 40, true, layout, 27}, 3, 0},
                      {{75, 20, true, layout, 0}, 1, 32},
                      {{30, 17, true, layout, 5}, 2, 6}},
                     decay);
      }
  simt::set_schedule(simt::Order::Forward);
}

// Numbers whose squares leave float's range.
TEST(kernel_dense_precondition_range) {
  start();
  const std::vector<Size> layers{{{9, 40, true, Layout::Rows, 128}, 1, 0}};
  for (const float scale : {1e-24f, 1e24f}) {
    const conformance::Scope scope(scale < 1 ? "small" : "large");
    check_layers(layers, 0.0f, scale, 1);
    check_layers(layers, 0.0f, 1, scale);
  }
}
