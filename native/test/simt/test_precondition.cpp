// SPDX-License-Identifier: Apache-2.0
// precondition.cu against D = Psi_inv G Phi_inv, and its inner products, in double precision.
#include <cmath>
#include <string>

#include "layer_fixture.hpp"

namespace {

using namespace fixture;
using lngd::cuda::DeviceLayer;
using lngd::cuda::DirectionSums;
using lngd::cuda::DirectionTile;
using lngd::cuda::Precision;
using lngd::cuda::StepSettings;

// A layer with its inverse: blocks of a symmetric matrix, the padding of their rows NaN.
struct Case {
  std::unique_ptr<Layer> layer;
  lngd::BlockLayout blocks;
  std::vector<float> inverse;
  std::unique_ptr<Array<float>> device_inverse;
  bool has_inverse;

  Case(const Shape& shape, int32_t groups, bool inverted, uint32_t seed, float weight_scale, float gradient_scale)
      : blocks(shape.columns(), shape.block, groups), has_inverse(inverted) {
    LayerRecord record{};
    record.has_inverse = inverted;
    layer = std::make_unique<Layer>(shape, record, seed, weight_scale, gradient_scale);
    Numbers numbers(seed + 100);
    inverse.assign(static_cast<size_t>(blocks.floats()), std::nanf(""));
    for (int64_t k = 0; k < blocks.count(); ++k)
      for (int64_t i = 0; i < blocks.size(k); ++i)
        for (int64_t j = 0; j <= i; ++j) at(k, i, j) = at(k, j, i) = numbers.next() + (i == j ? 2.0f : 0.0f);
    device_inverse = std::make_unique<Array<float>>(inverse);
  }

  float& at(int64_t k, int64_t i, int64_t j) {
    return inverse[static_cast<size_t>(blocks.offset(k) + i * blocks.ld(k) + j)];
  }

  void add_tiles(int32_t index, std::vector<DirectionTile>& tiles) const {
    lngd::cuda::append_direction_tiles(index, blocks, layer->shape.outputs, device_inverse->data, tiles);
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

// What an element of D may be off by, of the sum of its addends' sizes. 3xTF32 leaves out low times low, 2^-22 of each
// product, and each sum of 32 is truncated 24 times. TF32 rounds both factors to 11 bits, 2^-11 each.
double unit(Precision precision) { return precision == Precision::Tf32 ? 0x1.01p-10 : 0x1p-21; }

struct Expected {
  double dg = 0, dd = 0, ww = 0, d_psi = 0, psi_g = 0, size = 0; // size: of the addends of dg
};

// Compares D element by element; returns the inner products of the twin.
Expected check_direction(Case& c, double decay, Precision precision) {
  const Shape& s = c.layer->shape;
  const std::vector<float> d = c.layer->direction.read();
  double worst = 0;
  int64_t changed = 0;
  Expected sums;
  for (int64_t i = 0; i < s.outputs; ++i) {
    const double psi = c.layer->psi_inverse[static_cast<size_t>(i)];
    for (int64_t j = 0; j < s.ldw(); ++j) {
      const size_t own = static_cast<size_t>(i * s.ldw() + j);
      if (j >= s.columns() || !c.has_inverse) {
        changed += d[own] != c.layer->d[own];
        continue;
      }
      const int64_t group = i / (s.outputs / c.blocks.groups);
      const int64_t k = group * c.blocks.group_blocks() + j / c.blocks.block, begin = c.blocks.begin(k);
      double sum = 0, size = 0;
      for (int64_t x = 0; x < c.blocks.size(k); ++x) {
        const double term = c.gradient(i, begin + x, decay) * c.at(k, x, j - begin);
        sum += term;
        size += std::fabs(term);
      }
      worst = std::max(worst, std::fabs(d[own] - psi * sum) / (psi * size) / unit(precision));
      const double g = c.gradient(i, j, decay);
      sums.dg += psi * sum * g;
      sums.dd += psi * sum * psi * sum;
      sums.ww += c.weight(i, j) * c.weight(i, j);
      sums.d_psi += psi * sum * sum;
      sums.psi_g += psi * psi * sum * g;
      sums.size += psi * size * std::fabs(g);
    }
  }
  CHECK_EQ(changed, 0);
  CHECK_WITHIN(worst, 1.0);
  // That one product was taken, and not three, shows in the error where there are enough elements.
  if (precision == Precision::Tf32 && c.has_inverse && s.outputs > 10) CHECK_GT(worst, 0.05);
  return sums;
}

struct LayerCase {
  Shape shape;
  int32_t groups;
};

void check_layers(const std::vector<LayerCase>& shapes, float decay, float weight_scale = 1, float gradient_scale = 1,
                  Precision precision = Precision::TripleTf32) {
  StepSettings settings{};
  settings.rules.weight_decay = decay == 0.0f ? 0.3 : static_cast<double>(decay);
  // The other decays are none of its business.
  settings.rules.decay = decay != 0.0f       ? LNGD_DECAY_COUPLED
                         : weight_scale == 1 ? LNGD_DECAY_TRUST
                                             : LNGD_DECAY_DECOUPLED;
  const Array<StepSettings> device_settings(std::vector<StepSettings>{settings});
  std::vector<Case> cases;
  std::vector<DeviceLayer> table;
  std::vector<DirectionTile> tiles;
  for (size_t i = 0; i < shapes.size(); ++i) {
    cases.emplace_back(shapes[i].shape, shapes[i].groups, i != 1, static_cast<uint32_t>(50 + i), weight_scale,
                       gradient_scale);
    table.push_back(cases.back().layer->device());
    cases.back().add_tiles(static_cast<int32_t>(i), tiles);
  }
  const Array<DeviceLayer> device_table(table);
  const Array<DirectionTile> device_tiles(tiles);
  const Array<DirectionSums> device_sums(tiles.size());
  REQUIRE(cudaMemset(device_sums.data, 0, tiles.size() * sizeof(DirectionSums)) == cudaSuccess);
  CHECK_EQ(lngd::cuda::prepare_precondition(), cudaSuccess);
  CHECK_EQ(lngd::cuda::launch_precondition(device_settings.data, device_table.data, device_tiles.data,
                                           static_cast<int32_t>(tiles.size()), device_sums.data, precision, nullptr),
           cudaSuccess);
  finish_launches();
  const std::vector<DirectionSums> sums = device_sums.read();
  for (size_t i = 0; i < cases.size(); ++i) {
    const Shape& s = shapes[i].shape;
    const conformance::Scope scope("layer of " + std::to_string(s.outputs) + " x " + std::to_string(s.columns()) +
                                   ", blocks of " + std::to_string(s.block) + ", " + name(s.layout));
    const Expected e = check_direction(cases[i], decay, precision);
    DirectionSums total{};
    for (size_t t = 0; t < tiles.size(); ++t) {
      if (tiles[t].layer != static_cast<int32_t>(i)) continue;
      total.direction_gradient += sums[t].direction_gradient;
      total.direction_direction += sums[t].direction_direction;
      total.weight_weight += sums[t].weight_weight;
      total.direction_psi += sums[t].direction_psi;
      total.psi_gradient += sums[t].psi_gradient;
    }
    // As D itself; and eight products in float before they go on in double.
    const double allowed = 2 * unit(precision);
    CHECK_NEAR(total.direction_gradient, e.dg, allowed * e.size);
    CHECK_NEAR(total.psi_gradient, e.psi_g, 2 * allowed * e.size); // psi_inverse is below 1.5
    CHECK_NEAR(total.direction_direction, e.dd, allowed * e.dd);
    CHECK_NEAR(total.direction_psi, e.d_psi, allowed * e.d_psi);
    CHECK_NEAR(total.weight_weight, e.ww, 0x1p-21 * e.ww);
  }
}

} // namespace

TEST(kernel_precondition) {
  start();
  for (const Schedule& schedule : kSchedules)
    for (const float decay : {0.0f, 0.3f})
      for (const Layout layout : kLayouts) {
        // Time: the schedules with one layout, the decay, which has one path of loading, with two.
        if (schedule.order != simt::Order::Forward && layout != Layout::Rows) continue;
        if (decay != 0.0f && layout != Layout::Rows && layout != Layout::Columns) continue;
        simt::set_schedule(schedule.order, schedule.seed);
        // Slots that are used again: 7 slices. Ragged tiles of both kinds, warps with nothing to do; a bias that is in
        // the last block, that fills a slice of its own, and that is a block of its own; groups that end inside of a
        // tile; blocks that begin at odd columns.
        check_layers({{{66, 200, false, layout, 0}, 1},
                      {{3, 9, false, layout, 128}, 1},
                      {{1, 1, false, layout, 128}, 1},
                      {{70, 150, true, layout, 128}, 1},
                      {{17, 128, true, layout, 128}, 1},
                      {{5, 75, true, layout, 32}, 1},
                      {{21, 40, true, layout, 27}, 3}},
                     decay);
      }
  simt::set_schedule(simt::Order::Forward);
}

// One product of TF32 numbers instead of three: every path of loading, and several slices.
TEST(kernel_precondition_tf32) {
  start();
  for (const Layout layout : kLayouts)
    check_layers({{{66, 200, false, layout, 0}, 1}, {{3, 9, false, layout, 128}, 1}, {{21, 40, true, layout, 27}, 3}},
                 layout == Layout::PaddedRows ? 0.3f : 0.0f, 1, 1, Precision::Tf32);
}

// Every sector of W is asked for once, where W has unit stride one way and the block is not too large.
TEST(kernel_precondition_prefetches_weights) {
  start();
  const struct {
    Layout layout;
    int32_t size;
    int sectors;
  } cases[] = {{Layout::Rows, 200, 66 * (16 + 9)},    // tiles of 128 and 72 columns
               {Layout::Columns, 200, 200 * (8 + 1)}, // of 64 and 2 rows
               {Layout::EveryOther, 200, 0},          // an element a sector, or nearly
               {Layout::Rows, 520, 0}};
  for (const auto& c : cases) {
    const conformance::Scope scope(std::string(name(c.layout)) + ", " + std::to_string(c.size));
    const long long before = simt::counters().prefetches;
    check_layers({{{66, c.size, false, c.layout, 0}, 1}}, 0.0f);
    CHECK_EQ(simt::counters().prefetches - before, static_cast<long long>(c.sectors));
  }
}

// Numbers whose squares leave float's range.
TEST(kernel_precondition_range) {
  start();
  const std::vector<LayerCase> layers{{{9, 40, true, Layout::Rows, 128}, 1}};
  for (const float scale : {1e-24f, 1e24f}) {
    const conformance::Scope scope(scale < 1 ? "small" : "large");
    check_layers(layers, 0.0f, scale, 1);
    check_layers(layers, 0.0f, 1, scale);
  }
}
