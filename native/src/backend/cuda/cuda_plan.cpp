// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/cuda_plan.h"

#include <algorithm>
#include <new>

namespace lngd::cuda {
namespace {

void add_mirrors(Mirrors& mirrors, const StepLayer& layer) {
  const LayerShape& shape = *layer.shape;
  mirrors.add(Mirrors::kGradients, layer.weight_gradients, layer.rows, layer.columns);
  mirrors.add(Mirrors::kWeights, layer.weights, layer.rows, layer.columns);
  if (!shape.bias) return;
  mirrors.add(Mirrors::kGradients, layer.bias_gradients, shape.outputs, 1);
  mirrors.add(Mirrors::kWeights, layer.bias, shape.outputs, 1);
}

DeviceLayer device_layer(Mirrors& mirrors, const StepLayer& layer) {
  const LayerShape& shape = *layer.shape;
  const LayerMemory& memory = *layer.memory;
  DeviceLayer d{};
  d.record = memory.record;
  d.weight_gradients = mirrors.next(Mirrors::kGradients, layer.weight_gradients);
  d.weights = mirrors.next(Mirrors::kWeights, layer.weights);
  if (shape.bias) {
    d.bias_gradients = mirrors.next(Mirrors::kGradients, layer.bias_gradients);
    d.bias = mirrors.next(Mirrors::kWeights, layer.bias);
  }
  d.momentum = memory.momentum;
  d.average = memory.average;
  d.direction = memory.direction;
  d.psi_inverse = memory.psi_inverse;
  d.ldw = shape.ldw;
  d.inputs = static_cast<int32_t>(shape.inputs);
  d.outputs = static_cast<int32_t>(shape.outputs);
  d.bias_column = shape.bias ? 1 : 0;
  d.decay_multiplier = static_cast<float>(shape.rules.decay_multiplier);
  if (shape.parameter) d.parameter = {shape.parameter_rules, memory.second_moment, static_cast<int32_t>(layer.columns)};
  return d;
}

RateLayer rate_layer(const StepLayer& layer) {
  const LayerShape& shape = *layer.shape;
  RateLayer r{};
  r.record = layer.memory->record;
  r.lambda_phi = layer.memory->lambda_phi;
  r.rules = shape.rules;
  r.outputs = static_cast<int32_t>(shape.outputs);
  r.inputs = static_cast<int32_t>(shape.inputs);
  r.bias_column = shape.bias ? 1 : 0;
  r.groups = static_cast<int32_t>(shape.groups);
  r.direction = layer.memory->direction;
  r.ldw = shape.ldw;
  r.positions = 1;
  return r;
}

// The tiles of precondition, by kernel. What layer_rate adds up of a layer is in one of the lists.
struct TileLists {
  enum Kind { kProducts, kOutputs, kDiagonals }; // with Phi_inv; with a second factor; of a diagonal Phi
  static constexpr int kKinds = 3;
  std::vector<DirectionTile> of[kKinds];
  std::vector<Kind> rated; // for each layer

  void add(int32_t index, const LayerShape& shape, const LayerMemory& memory, RateLayer& rate) {
    if (shape.parameter) { // no tiles; their sums are elsewhere
      rated.push_back(kProducts);
      return;
    }
    const Kind first = shape.blocks.is_diagonal ? kDiagonals : kProducts;
    const Kind kind = shape.second_matrix() ? kOutputs : first;
    const auto before = static_cast<int32_t>(of[kind].size());
    const auto outputs = static_cast<int32_t>(shape.outputs);
    append_direction_tiles(index, shape.blocks, outputs, memory.phi_inverse, of[first]);
    if (kind == kOutputs) append_output_tiles(index, shape, memory.second_inverse, of[kOutputs]);
    rated.push_back(kind);
    rate.first_tile = before;
    rate.tiles = static_cast<int32_t>(of[kind].size()) - before;
  }
  // One list behind the other; the places that the layers know move with them.
  std::vector<DirectionTile> join(std::vector<RateLayer>& layers) const {
    std::vector<DirectionTile> all;
    int32_t first[kKinds];
    for (const Kind kind : {kProducts, kOutputs, kDiagonals}) {
      first[kind] = static_cast<int32_t>(all.size());
      all.insert(all.end(), of[kind].begin(), of[kind].end());
    }
    for (size_t i = 0; i < layers.size(); ++i) layers[i].first_tile += first[rated[i]];
    return all;
  }
};

// Blocks that factor_inverse inverts as matrices; those of diagonal factors have results behind them.
int32_t matrix_blocks(const StepLayer* layers, int32_t count) {
  int64_t blocks = 0;
  for (int32_t i = 0; i < count; ++i) {
    const LayerShape& shape = *layers[i].shape;
    if (!shape.blocks.is_diagonal) blocks += shape.blocks.count();
    if (shape.second_matrix()) blocks += shape.second.count();
  }
  return static_cast<int32_t>(blocks);
}

void add_parameter(CudaPlan& plan, const StepLayer& layer, int32_t index, const DeviceLayer& device,
                   std::vector<UpdateTask>& tasks) {
  const auto before = static_cast<int32_t>(tasks.size());
  append_parameter_tasks(index, device, kUpdateElements, tasks);
  plan.rate_layers.push_back(rate_layer(layer));
  RateLayer& rate = plan.rate_layers.back();
  rate.parameter_rules = layer.shape->parameter_rules;
  rate.tiles = static_cast<int32_t>(tasks.size()) - before;
}

void create_tables(CudaContext& context, CudaPlan& plan, const StepLayer* layers, int32_t count,
                   const lngd_config& config) {
  std::vector<DeviceLayer> device_layers;
  std::vector<UpdateTask> updates, parameter_tasks;
  TileLists lists;
  std::vector<AverageLayer> average_layers;
  std::vector<AverageTask> averages;
  std::vector<FactorTask> factor_tasks;
  std::vector<FactorLayer> factor_layers;
  std::vector<DiagonalTask> diagonals;
  std::vector<SecondLayer> seconds;
  std::vector<DampedLayer> damped;
  int64_t products = 0;                           // floats between the two products with a second factor
  int32_t results = matrix_blocks(layers, count); // of factor_inverse
  for (int32_t i = 0; i < count; ++i) {
    const LayerShape& shape = *layers[i].shape;
    const LayerMemory& memory = *layers[i].memory;
    device_layers.push_back(device_layer(plan.mirrors, layers[i]));
    if (shape.parameter) {
      add_parameter(plan, layers[i], i, device_layers.back(), parameter_tasks);
      lists.add(i, shape, memory, plan.rate_layers.back());
      average_layers.emplace_back(); // never due
      factor_layers.emplace_back();
      factor_layers.back().layer = i;
      factor_layers.back().record = memory.record;
      seconds.emplace_back(); // counted by layer
      continue;
    }
    append_update_tasks(i, device_layers.back(), kUpdateElements, updates);
    plan.rate_layers.push_back(rate_layer(layers[i]));
    lists.add(i, shape, memory, plan.rate_layers.back());
    average_layers.push_back(average_layer(shape, memory));
    append_average_tasks(i, average_layers.back(), kAverageElements, averages);
    if (shape.blocks.is_diagonal) {
      factor_layers.push_back(add_diagonal_layer(shape, memory, i, results, config.orthogonalise != 0, diagonals));
      results += factor_layers.back().blocks;
      add_second_factor(shape, memory, factor_tasks, config.orthogonalise != 0, factor_layers.back());
    } else {
      factor_layers.push_back(add_factor_layer(shape, memory, i, factor_tasks, config.orthogonalise != 0));
    }
    if (damped_by_layer(config)) append_damped_layers(shape, memory, factor_layers.back(), config.damping, damped);
    if (!shape.second_matrix() || config.orthogonalise != 0) continue;
    seconds.push_back(second_layer(shape, products));
    products += second_product_floats(shape);
  }
  updates.insert(updates.end(), parameter_tasks.begin(), parameter_tasks.end());
  const std::vector<DirectionTile> tiles = lists.join(plan.rate_layers);
  plan.factor_plan = std::make_unique<FactorPlan>(std::move(factor_tasks));
  Arena& arena = plan.arena;
  const size_t at_layers = arena.table(device_layers), at_updates = arena.table(updates), at_tiles = arena.table(tiles);
  const size_t at_average_layers = arena.table(average_layers), at_averages = arena.table(averages);
  const size_t at_factor_layers = arena.table(factor_layers), at_tasks = arena.table(plan.factor_plan->tasks());
  const size_t at_starts = arena.table(plan.factor_plan->starts()), at_settings = arena.zeros<StepSettings>(2);
  const size_t at_seconds = arena.table(seconds), at_damped = arena.table(damped);
  const size_t at_diagonals = arena.table(diagonals);
  const size_t at_sums = arena.space(tiles.size() * sizeof(DirectionSums));
  const size_t at_parameter_sums = arena.space(parameter_tasks.size() * sizeof(ParameterSums));
  const size_t at_squares = arena.space(config.gradient_clipping > 0 ? updates.size() * sizeof(double) : 0);
  const size_t at_norm = arena.space(sizeof(double));
  const size_t at_results = arena.space(static_cast<size_t>(results) * sizeof(FactorResult));
  const size_t at_lambdas = arena.space(damped.empty() ? 0 : static_cast<size_t>(results) * sizeof(double));
  const size_t at_products = arena.space(static_cast<size_t>(products) * sizeof(float));
  const size_t at_work = arena.space(static_cast<size_t>(plan.factor_plan->workspace_bytes()));
  if (!arena.create(context.calls, context.caller)) return;
  plan.device_layers = arena.at<DeviceLayer>(at_layers);
  plan.updates = arena.at<UpdateTask>(at_updates);
  plan.tiles = arena.at<DirectionTile>(at_tiles);
  plan.average_layers = arena.at<AverageLayer>(at_average_layers);
  plan.averages = arena.at<AverageTask>(at_averages);
  plan.factor_layers = arena.at<FactorLayer>(at_factor_layers);
  plan.factors = {arena.at<FactorTask>(at_tasks), arena.at<int32_t>(at_starts), arena.at<float>(at_work),
                  context.multiprocessors};
  plan.settings = arena.at<StepSettings>(at_settings);
  plan.sums = arena.at<DirectionSums>(at_sums);
  plan.parameter_sums = arena.at<ParameterSums>(at_parameter_sums);
  plan.gradient_squares = arena.at<double>(at_squares);
  plan.gradient_norm = arena.at<double>(at_norm);
  plan.parameter_task_count = static_cast<int32_t>(parameter_tasks.size());
  int32_t parameter_task = 0;
  for (int32_t i = 0; i < count; ++i) {
    if (!layers[i].shape->parameter) continue;
    RateLayer& rate = plan.rate_layers[static_cast<size_t>(i)];
    rate.parameter_sums = plan.parameter_sums + parameter_task;
    parameter_task += rate.tiles;
  }
  plan.results = arena.at<FactorResult>(at_results);
  plan.update_count = static_cast<int32_t>(updates.size());
  plan.seconds = {arena.at<SecondLayer>(at_seconds), arena.at<float>(at_products)};
  plan.damped = arena.at<DampedLayer>(at_damped);
  plan.lambdas = arena.at<double>(at_lambdas);
  plan.diagonals = arena.at<DiagonalTask>(at_diagonals);
  plan.diagonal_count = static_cast<int32_t>(diagonals.size());
  plan.tile_count = static_cast<int32_t>(lists.of[TileLists::kProducts].size());
  plan.output_tile_count = static_cast<int32_t>(lists.of[TileLists::kOutputs].size());
  plan.diagonal_tile_count = static_cast<int32_t>(lists.of[TileLists::kDiagonals].size());
  plan.damped_count = static_cast<int32_t>(damped.size());
  plan.average_count = static_cast<int32_t>(averages.size());
}

// What orthogonalise has on top: a workspace, and tables of products whose operands lie in it.
void create_orthogonal(CudaContext& context, CudaPlan& plan, const StepLayer* layers, int32_t count) {
  std::vector<size_t> places;
  for (int32_t i = 0; i < count; ++i) {
    const int64_t floats = layers[i].shape->parameter ? 0 : orthogonal_floats(*layers[i].shape);
    places.push_back(plan.orthogonal_work.space(static_cast<size_t>(floats) * sizeof(float)));
  }
  if (!plan.orthogonal_work.create(context.calls, context.caller)) return;
  OrthogonalTables tables;
  for (int32_t i = 0; i < count; ++i) {
    float* const work = plan.orthogonal_work.at<float>(places[static_cast<size_t>(i)]);
    if (layers[i].shape->parameter)
      tables.z.push_back(nullptr); // counted by layer
    else
      append_orthogonal(i, *layers[i].shape, *layers[i].memory, work, tables);
  }
  Arena& arena = plan.orthogonal_tables;
  std::vector<std::pair<OrthogonalTileList*, size_t>> lists;
  const auto add = [&](OrthogonalTileList& list, const std::vector<OrthogonalTile>& tiles) {
    list.count = static_cast<int32_t>(tiles.size());
    lists.emplace_back(&list, arena.table(tiles));
  };
  OrthogonalPlan& to = plan.orthogonal;
  for (size_t product = 0; product < kOrthogonalProducts; ++product)
    add(to.products[product], tables.products[product]);
  const size_t at_z = arena.table(tables.z);
  const size_t at_normalise = arena.table(tables.normalise), at_gram = arena.table(tables.normalise_gram);
  const auto squares_of = [&](OrthogonalProduct product) {
    return arena.space(tables.products.of(product).size() * sizeof(double));
  };
  const size_t at_squares = squares_of(OrthogonalProduct::WhitenColumns);
  const size_t at_gram_squares = squares_of(OrthogonalProduct::Gram);
  if (!arena.create(context.calls, context.caller)) return;
  for (const auto& [list, at] : lists) list->tiles = arena.at<OrthogonalTile>(at);
  to.z = arena.at<float*>(at_z);
  to.normalise = {arena.at<NormaliseTask>(at_normalise), static_cast<int32_t>(tables.normalise.size()),
                  arena.at<double>(at_squares)};
  to.normalise_gram = {arena.at<NormaliseTask>(at_gram), static_cast<int32_t>(tables.normalise_gram.size()),
                       arena.at<double>(at_gram_squares)};
}

void create(CudaContext& context, CudaPlan& plan, StepLayer* layers, int32_t count, const lngd_config& config) {
  plan.layers = count;
  for (int32_t i = 0; i < count; ++i) add_mirrors(plan.mirrors, layers[i]);
  if (!plan.mirrors.create(context.calls)) return;
  create_tables(context, plan, layers, count, config);
  if (config.orthogonalise != 0) create_orthogonal(context, plan, layers, count);
  plan.flags.resize(static_cast<size_t>(count));
  plan.average_due.reserve(context.calls, plan.flags.size() * sizeof(int32_t));
  plan.inverse_due.reserve(context.calls, plan.flags.size() * sizeof(int32_t));
  // The rates' table without samples: a first step may be one that is captured, when nothing can be allocated.
  StepArgs args{};
  args.layers = layers;
  args.count = count;
  args.config = &config;
  args.plan = &plan;
  prepare_rates(context, plan, args);
  context.synchronize();
}

void destroy(CudaPlan& plan) {
  plan.mirrors.destroy();
  for (Arena* arena : {&plan.arena, &plan.orthogonal_work, &plan.orthogonal_tables}) arena->destroy();
  for (ChangingTable* table : {&plan.average_due, &plan.inverse_due, &plan.rates}) table->destroy();
  for (CapturedTable& table : plan.captured_rates) table.destroy();
  cudaGetLastError();
}

} // namespace

Plan* plan_create(Context* base, StepLayer* layers, int32_t count, const lngd_config& config) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  std::unique_ptr<CudaPlan> plan;
  try {
    plan = std::make_unique<CudaPlan>();
    create(context, *plan, layers, count, config);
    if (context.calls.ok()) return plan.release();
  } catch (const std::bad_alloc&) { // nullptr without a failure says as much
  }
  if (plan) destroy(*plan);
  return nullptr;
}

void plan_destroy(Context* base, Plan* plan) {
  const DeviceScope scope(cuda(base));
  destroy(cuda(plan));
  delete static_cast<CudaPlan*>(plan);
}

void plan_rebind(Context& base, Plan* plan_base, const StepLayer* layers, int32_t count) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  CudaPlan& plan = cuda(plan_base);
  Mirrors& mirrors = plan.mirrors;
  mirrors.restart();
  const auto on_device = [](const Strided& tensor) { return tensor.device ? tensor.data : nullptr; };
  for (int32_t first = 0; first < count; first += kAddressesPerLaunch) {
    const int32_t here = std::min(kAddressesPerLaunch, count - first);
    AddressTable table{};
    bool any = false;
    for (int32_t i = 0; i < here; ++i) {
      const StepLayer& layer = layers[first + i];
      mirrors.move(Mirrors::kGradients, layer.weight_gradients);
      mirrors.move(Mirrors::kWeights, layer.weights);
      mirrors.move(Mirrors::kGradients, layer.bias_gradients);
      mirrors.move(Mirrors::kWeights, layer.bias);
      LayerAddresses& to = table.layers[i];
      to = {on_device(layer.weights), on_device(layer.bias), on_device(layer.weight_gradients),
            on_device(layer.bias_gradients)};
      any |= to.weights || to.bias || to.weight_gradients || to.bias_gradients;
    }
    if (any)
      context.calls("launch store_addresses",
                    [&] { return launch_store_addresses(table, here, plan.device_layers + first, context.caller); });
  }
}

int64_t plan_bytes(const Plan* base) {
  const CudaPlan& plan = *static_cast<const CudaPlan*>(base);
  size_t tables = plan.average_due.bytes() + plan.inverse_due.bytes() + plan.rates.bytes();
  for (const CapturedTable& table : plan.captured_rates) tables += table.bytes();
  return plan.arena.bytes() + plan.orthogonal_work.bytes() + plan.orthogonal_tables.bytes() + plan.mirrors.bytes() +
         static_cast<int64_t>(tables);
}

} // namespace lngd::cuda
