// SPDX-License-Identifier: Apache-2.0
// orthogonal_direction.cu: D of the whitened orthogonalisation and its inner products against the twin in double
// precision, over layouts, groups, blocks of both factors, wide and tall matrices, both precisions.
#include <cmath>
#include <limits>
#include <string>

#include "backend/cuda/orthogonal.h"
#include "backend/cuda/second_factor.h"
#include "layer_fixture.hpp"
#include "reference_orthogonal.hpp"

namespace {

using namespace fixture;
using lngd::BlockLayout;
using lngd::LayerMemory;
using lngd::LayerShape;
using lngd::cuda::DeviceLayer;
using lngd::cuda::DirectionSums;
using lngd::cuda::DirectionTile;
using lngd::cuda::NormaliseList;
using lngd::cuda::OrthogonalPlan;
using lngd::cuda::OrthogonalProduct;
using lngd::cuda::OrthogonalTables;
using lngd::cuda::Precision;
using lngd::cuda::StepSettings;

// Blocks of lower triangles, zeros above; the padding of their rows is NaN.
struct Triangles {
  BlockLayout blocks;
  std::vector<float> values;
  std::unique_ptr<Array<float>> device;

  Triangles(const BlockLayout& layout, uint32_t seed) : blocks(layout) {
    Numbers numbers(seed);
    values.assign(static_cast<size_t>(blocks.floats()), std::nanf(""));
    for (int64_t k = 0; k < blocks.count(); ++k)
      for (int64_t i = 0; i < blocks.size(k); ++i)
        for (int64_t j = 0; j < blocks.size(k); ++j) {
          const float x = numbers.next() / static_cast<float>(blocks.size(k));
          values[static_cast<size_t>(blocks.offset(k) + i * blocks.ld(k) + j)] = j > i ? 0 : j == i ? 1.5f + x : x;
        }
    device = std::make_unique<Array<float>>(values);
  }
  // Groups one below the other.
  twin::Matrix matrix() const {
    twin::Matrix all(blocks.groups * blocks.d, blocks.d);
    for (int64_t k = 0; k < blocks.count(); ++k)
      for (int64_t i = 0; i < blocks.size(k); ++i)
        for (int64_t j = 0; j < blocks.size(k); ++j)
          all(blocks.group(k) * blocks.d + blocks.begin(k) + i, blocks.begin(k) + j) =
              values[static_cast<size_t>(blocks.offset(k) + i * blocks.ld(k) + j)];
    return all;
  }
};

struct Size {
  Shape shape;
  int32_t groups, second_block; // 0: one block
};

struct Case {
  LayerShape shape{};
  LayerMemory memory{};
  std::unique_ptr<Layer> layer;
  Triangles a, b;

  Case(const Size& size, bool inverted, uint32_t seed, float gradient_scale)
      : a(BlockLayout(size.shape.columns(), size.shape.block, size.groups), seed + 100),
        b(BlockLayout(size.shape.outputs / size.groups, size.second_block, size.groups), seed + 200) {
    shape.outputs = size.shape.outputs;
    shape.d = size.shape.columns();
    shape.ldw = size.shape.ldw();
    shape.groups = size.groups;
    shape.blocks = a.blocks;
    shape.second = b.blocks;
    LayerRecord record{};
    record.has_inverse = inverted;
    layer = std::make_unique<Layer>(size.shape, record, seed, 1.0f, gradient_scale);
    for (float& m : layer->m) m *= gradient_scale;
    layer->momentum.write(layer->m);
    memory.direction = layer->direction.data;
    memory.phi_inverse = a.device->data;
    memory.second_inverse = b.device->data;
  }
  twin::Matrix matrix(const std::vector<float>& values, const std::vector<float>& bias) const {
    twin::Matrix all(shape.outputs, shape.d);
    const int64_t inputs = layer->shape.inputs;
    for (int64_t i = 0; i < all.rows; ++i)
      for (int64_t j = 0; j < all.cols; ++j)
        all(i, j) = j < inputs ? values[static_cast<size_t>(i * inputs + j)] : bias[static_cast<size_t>(i)];
    return all;
  }
  twin::Matrix own(const std::vector<float>& values) const {
    twin::Matrix all(shape.outputs, shape.d);
    for (int64_t i = 0; i < all.rows; ++i)
      for (int64_t j = 0; j < all.cols; ++j) all(i, j) = values[static_cast<size_t>(i * shape.ldw + j)];
    return all;
  }
};

// The tables on the device, as cuda_plan.cpp lays them out.
struct DeviceTables {
  std::vector<std::unique_ptr<Array<lngd::cuda::OrthogonalTile>>> lists;
  std::unique_ptr<Array<float*>> z;
  std::unique_ptr<Array<lngd::cuda::NormaliseTask>> normalise, normalise_gram;
  std::unique_ptr<Array<double>> squares, gram_squares;
  OrthogonalPlan plan;

  explicit DeviceTables(const OrthogonalTables& tables) {
    for (size_t product = 0; product < tables.products.size(); ++product) {
      const std::vector<lngd::cuda::OrthogonalTile>& tiles = tables.products[product];
      lists.push_back(std::make_unique<Array<lngd::cuda::OrthogonalTile>>(tiles));
      plan.products[product] = {lists.back()->data, static_cast<int32_t>(tiles.size())};
    }
    z = std::make_unique<Array<float*>>(tables.z);
    plan.z = z->data;
    plan.normalise = list(tables.normalise, OrthogonalProduct::WhitenColumns, normalise, squares);
    plan.normalise_gram = list(tables.normalise_gram, OrthogonalProduct::Gram, normalise_gram, gram_squares);
  }
  NormaliseList list(const std::vector<lngd::cuda::NormaliseTask>& of, OrthogonalProduct product,
                     std::unique_ptr<Array<lngd::cuda::NormaliseTask>>& tasks,
                     std::unique_ptr<Array<double>>& sums) const {
    tasks = std::make_unique<Array<lngd::cuda::NormaliseTask>>(of);
    sums = std::make_unique<Array<double>>(static_cast<size_t>(plan.products.of(product).count));
    return {tasks->data, static_cast<int32_t>(of.size()), sums->data};
  }
};

struct Options {
  bool nesterov = true;
  bool coupled = false;
  Precision precision = Precision::TripleTf32;
  float gradient_scale = 1;
};

lngd_config config_of(const Options& options) {
  lngd_config config{};
  config.momentum = 0.9;
  config.nesterov = options.nesterov;
  config.decay = options.coupled ? LNGD_DECAY_COUPLED : LNGD_DECAY_TRUST;
  config.weight_decay = 0.3;
  config.trust_ratio = 0.01;
  config.learning_rate = 1;
  return config;
}

// A bound on ||T||_2: sqrt(||T||_1 ||T||_inf).
double largest_stretch(const twin::Matrix& t) {
  std::vector<double> columns(static_cast<size_t>(t.cols), 0.0);
  double row = 0, column = 0;
  for (int64_t i = 0; i < t.rows; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < t.cols; ++j) {
      sum += std::fabs(t(i, j));
      column = std::max(column, columns[static_cast<size_t>(j)] += std::fabs(t(i, j)));
    }
    row = std::max(row, sum);
    if ((i + 1) % t.cols == 0) std::fill(columns.begin(), columns.end(), 0.0); // of a group
  }
  return std::sqrt(row * column);
}

// D and its sums; a layer without an inverse is left alone.
void check(const Case& c, const Options& options, const DirectionSums& sums) {
  const std::vector<float> got = c.layer->direction.read();
  int64_t changed = 0;
  for (int64_t i = 0; i < c.shape.outputs; ++i)
    for (int64_t j = c.layer->record.read()[0].has_inverse ? c.shape.d : 0; j < c.shape.ldw; ++j)
      changed += got[static_cast<size_t>(i * c.shape.ldw + j)] != c.layer->d[static_cast<size_t>(i * c.shape.ldw + j)];
  CHECK_EQ(changed, 0);
  CHECK(c.layer->momentum.read() == c.layer->m); // apply_update renews it
  if (!c.layer->record.read()[0].has_inverse) return;
  twin::OrthogonalStart start;
  start.config = config_of(options);
  start.groups = c.shape.groups;
  start.gradient = c.matrix(c.layer->g, c.layer->gb);
  start.weights = c.matrix(c.layer->w, c.layer->b);
  start.momentum = c.own(c.layer->m);
  start.phi_triangle = c.a.matrix();
  start.psi_triangle = c.b.matrix();
  const twin::OrthogonalStep want = twin::orthogonal_step(start);
  // An element of a product in 3xTF32 is off by at most 2^-21 of its addends' sizes, in TF32 by 2^-10 (twice half a
  // unit), and errors have both signs: that much of ||A||_2 ||B||_F is more than the whole product is off by. Three
  // roundings make x. reference_orthogonal.hpp says what becomes of that; the TF32 bound finds gross errors only.
  const double exact = 0x1p-21, steps = options.precision == Precision::Tf32 ? 0x1p-10 : exact;
  const double triangles = largest_stretch(start.phi_triangle) * largest_stretch(start.psi_triangle);
  double square = 0;
  for (const twin::Orthogonalised& group : want.groups) {
    if (group.norm == 0) continue;
    const double of_x = 3 * exact * triangles * norm(want.averaged) / group.norm;
    square += std::pow(group.amplification * of_x + group.rounding * steps, 2);
  }
  double length = 0;
  for (const twin::Orthogonalised& group : want.groups) length += norm(group.values);
  const double error = triangles * (std::sqrt(square) + 2 * exact * length), gradient = norm(start.gradient);
  twin::Matrix difference = c.own(got);
  for (size_t k = 0; k < difference.values.size(); ++k) difference.values[k] -= want.direction.values[k];
  CHECK_WITHIN(norm(difference), error);
  const double d = norm(want.direction), w = norm(start.weights), g = gradient + (options.coupled ? 0.3 * w : 0.0);
  CHECK_NEAR(sums.direction_gradient, want.inner, (error + 0x1p-20 * d) * g);
  CHECK_NEAR(std::sqrt(sums.direction_direction), d, error + 0x1p-20 * d);
  CHECK_NEAR(sums.weight_weight, w * w, 0x1p-20 * w * w);
}

void run(const std::vector<Size>& sizes, const Options& options) {
  const StepSettings settings = lngd::cuda::step_settings(config_of(options), 1);
  const Array<StepSettings> device_settings(std::vector<StepSettings>{settings});
  std::vector<std::unique_ptr<Case>> cases;
  std::vector<std::unique_ptr<Array<float>>> workspaces;
  std::vector<DeviceLayer> table;
  std::vector<DirectionTile> tiles, outputs;
  OrthogonalTables tables;
  for (size_t i = 0; i < sizes.size(); ++i) {
    cases.push_back(std::make_unique<Case>(sizes[i], i != 1, static_cast<uint32_t>(50 + i), options.gradient_scale));
    const Case& c = *cases.back();
    const int32_t index = static_cast<int32_t>(i);
    table.push_back(c.layer->device());
    lngd::cuda::append_direction_tiles(index, c.shape.blocks, static_cast<int32_t>(c.shape.outputs), c.a.device->data,
                                       tiles);
    lngd::cuda::append_output_tiles(index, c.shape, c.b.device->data, outputs);
    workspaces.push_back(std::make_unique<Array<float>>(
        std::vector<float>(static_cast<size_t>(lngd::cuda::orthogonal_floats(c.shape)), std::nanf(""))));
    lngd::cuda::append_orthogonal(index, c.shape, c.memory, workspaces.back()->data, tables);
  }
  const Array<DeviceLayer> device_table(table);
  const Array<DirectionTile> device_tiles(tiles), device_outputs(outputs);
  const DeviceTables device_tables(tables);
  const Array<DirectionSums> device_sums(outputs.size());
  REQUIRE(cudaMemset(device_sums.data, 0, outputs.size() * sizeof(DirectionSums)) == cudaSuccess);
  CHECK_EQ(lngd::cuda::prepare_orthogonal(), cudaSuccess);
  CHECK_EQ(lngd::cuda::launch_orthogonal(device_settings.data, device_table.data, device_tables.plan, device_tiles.data,
                                         static_cast<int32_t>(tiles.size()), device_outputs.data,
                                         static_cast<int32_t>(outputs.size()), nullptr, 0, device_sums.data,
                                         options.precision, nullptr),
           cudaSuccess);
  finish_launches();
  const std::vector<DirectionSums> sums = device_sums.read();
  for (size_t i = 0; i < cases.size(); ++i) {
    const Shape& s = sizes[i].shape;
    const conformance::Scope scope("layer of " + std::to_string(s.outputs) + " x " + std::to_string(s.columns()) +
                                   ", blocks of " + std::to_string(s.block) + " and " +
                                   std::to_string(sizes[i].second_block) + ", " + name(s.layout));
    DirectionSums total{};
    for (size_t t = 0; t < outputs.size(); ++t) {
      if (outputs[t].layer != static_cast<int32_t>(i)) continue;
      total.direction_gradient += sums[t].direction_gradient;
      total.direction_direction += sums[t].direction_direction;
      total.weight_weight += sums[t].weight_weight;
    }
    check(*cases[i], options, total);
  }
}

// Tall and wide; a layer without an inverse; a bias that is a block of its own; groups whose rows end inside of a tile;
// blocks whose sizes are not multiples of 4.
std::vector<Size> layers_of(Layout layout) {
  return {{{70, 40, true, layout, 0}, 1, 0},   {{3, 9, false, layout, 128}, 1, 0}, {{1, 1, false, layout, 128}, 1, 0},
          {{9, 128, true, layout, 128}, 1, 0}, {{21, 40, true, layout, 27}, 3, 0}, {{30, 17, true, layout, 5}, 2, 6}};
}

} // namespace

TEST(kernel_orthogonal_direction) {
  start();
  for (const Schedule& schedule : kSchedules)
    for (const Layout layout : kLayouts) {
      if (schedule.order != simt::Order::Forward && layout != Layout::Rows) continue; // time
      simt::set_schedule(schedule.order, schedule.seed);
      Options options;
      options.nesterov = layout != Layout::Columns;
      options.coupled = layout == Layout::Columns || layout == Layout::OffByOne;
      run(layers_of(layout), options);
    }
  simt::set_schedule(simt::Order::Forward);
}

TEST(kernel_orthogonal_direction_tf32) {
  start();
  Options options;
  options.precision = Precision::Tf32;
  run({layers_of(Layout::Rows)[0], layers_of(Layout::Rows)[4]}, options);
}

// Several tiles in each direction of every product, of both kinds of matrices, and more than one task to normalise.
TEST(kernel_orthogonal_direction_large) {
  start();
  run({{{150, 139, true, Layout::PaddedRows, 0}, 1, 0},
       {{2, 2, false, Layout::Rows, 0}, 1, 0},
       {{132, 200, false, Layout::Columns, 128}, 1, 128}},
      {});
}

// Squares that leave float's range; a gradient of nothing.
TEST(kernel_orthogonal_direction_range) {
  start();
  for (const float scale : {0.0f, 1e-24f, 1e24f}) {
    const conformance::Scope scope("scale " + std::to_string(scale));
    Options options;
    options.gradient_scale = scale;
    run({layers_of(Layout::Rows)[0]}, options);
  }
}
