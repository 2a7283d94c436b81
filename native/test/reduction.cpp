// SPDX-License-Identifier: Apache-2.0
#include "reduction.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "parameters.hpp"

namespace conformance {
namespace {

lngd_sums view_of(const Optimizer& optimizer) {
  lngd_sums view{};
  view.struct_size = sizeof view;
  REQUIRE_OK(lngd_get_sums(optimizer.handle(), &view));
  return view;
}

template <typename T>
void copy(const Optimizer& optimizer, T* to, const T* from, std::int64_t count) {
  if (count > 0)
    REQUIRE_OK(lngd_device_copy(optimizer.handle(), to, from, count * static_cast<std::int64_t>(sizeof(T))));
}

twin::Matrix numbers(std::int64_t rows, std::int64_t cols, bool whole, Random* random) {
  twin::Matrix m = random_matrix(rows, cols, random);
  if (whole)
    for (double& value : m.values) value = std::fmax(-3.0, std::fmin(3.0, std::round(1.5 * value)));
  return m;
}

twin::Matrix rows_of(const twin::Matrix& all, std::int64_t begin, std::int64_t end) {
  twin::Matrix some(end - begin, all.cols);
  for (std::int64_t i = begin; i < end; ++i)
    for (std::int64_t j = 0; j < all.cols; ++j) some(i - begin, j) = all(i, j);
  return some;
}

constexpr std::int64_t kMostSamples = 64; // of a batch

} // namespace

lngd_config small_config(int which) {
  lngd_config config = preset(which, 20);
  config.block_size = which == LNGD_PRESET_RECIPE_FIT || config.approximation == LNGD_APPROXIMATION_EKFAC ? 0 : 4;
  config.statistics_samples = 0;
  config.statistics_interval = 1;
  config.inverse_interval = 1;
  config.precision = LNGD_PRECISION_TF32X3;
  if (config.rate == LNGD_RATE_EMPIRICAL) config.rate = LNGD_RATE_KRONECKER;
  return config;
}

std::vector<Network> small_networks(int activation) {
  lngd_layer_config images = with_geometry(convolution(4, 8, 2, 2), 1, 1, 0, 1, 2), words;
  images.activation = activation;
  REQUIRE_OK(lngd_embedding_init(9, 4, &words));
  words.bias = 1;
  const std::vector<lngd_layer_config> factors = {dense(7, 4, true, activation), images,
                                                  dense(5, 4, false, activation)};
  std::vector<lngd_layer_config> all = factors;
  all.insert(all.begin() + 1, words);
  all.insert(all.begin() + 2, parameter(6));
  std::vector<Network> result;
  const auto add = [&](const char* name, int which, const std::vector<lngd_layer_config>& layers) {
    result.push_back({name, small_config(which), layers});
    return &result.back();
  };
  add("RECIPE", LNGD_PRESET_RECIPE, all);
  add("RECIPE, drawn targets", LNGD_PRESET_RECIPE, all)->config.fisher = LNGD_FISHER_SAMPLED;
  add("RECIPE_FIT", LNGD_PRESET_RECIPE_FIT, all);
  add("PAPER", LNGD_PRESET_PAPER, all);
  add("NGPLUS", LNGD_PRESET_NGPLUS, factors);
  add("KFAC", LNGD_PRESET_KFAC, all);
  add("TKFAC", LNGD_PRESET_TKFAC, all);
  add("BLOCK_KRONECKER", LNGD_PRESET_BLOCK_KRONECKER, all);
  add("BLOCK_KRONECKER_FIT", LNGD_PRESET_BLOCK_KRONECKER_FIT, all);
  if (device() == LNGD_DEVICE_CPU) add("EKFAC", LNGD_PRESET_EKFAC, factors);
  return result;
}

Sums read_sums(const Optimizer& optimizer) {
  const lngd_sums view = view_of(optimizer);
  Sums sums{std::vector<float>(static_cast<std::size_t>(view.float_count)),
            std::vector<double>(static_cast<std::size_t>(view.double_count))};
  copy(optimizer, sums.floats.data(), view.floats, view.float_count);
  copy(optimizer, sums.doubles.data(), view.doubles, view.double_count);
  return sums;
}

void write_sums(const Optimizer& optimizer, const Sums& sums) {
  const lngd_sums view = view_of(optimizer);
  REQUIRE(view.float_count == static_cast<std::int64_t>(sums.floats.size()));
  copy(optimizer, view.floats, sums.floats.data(), view.float_count);
  copy(optimizer, view.doubles, sums.doubles.data(), view.double_count);
}

Range sum_range(const Optimizer& optimizer, int layer, int sum) {
  Range range{};
  REQUIRE_OK(lngd_sum_range(optimizer.handle(), layer, sum, &range.offset, &range.count));
  return range;
}

Rank::Rank(const lngd_config& config, const std::vector<lngd_layer_config>& network, bool whole_numbers,
           const std::vector<std::int32_t>& owners, int rank)
    : layers(network), whole(whole_numbers), optimizer(config, network) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const lngd_layer_config& layer = layers[i];
    Random random(100 + i);
    Tensors all;
    const std::int64_t columns = twin::weight_columns(layer);
    all.weights = std::make_unique<Tensor>(layer.outputs, columns);
    all.weight_gradients = std::make_unique<Tensor>(layer.outputs, columns);
    all.bias = std::make_unique<Tensor>(layer.outputs);
    all.bias_gradients = std::make_unique<Tensor>(layer.outputs);
    all.weights->fill(random_matrix(layer.outputs, columns, &random));
    all.bias->fill(random_matrix(layer.outputs, 1, &random));
    tensors.push_back(std::move(all));
  }
  if (!owners.empty()) share(owners, rank);
  make_plan();
  fill_gradients(0);
}

void Rank::share(const std::vector<std::int32_t>& owners, int rank) {
  REQUIRE_OK(lngd_share_inverses(optimizer.handle(), owners.data(), static_cast<int>(owners.size()), rank));
}

void Rank::make_plan() {
  std::vector<lngd_binding> bindings;
  for (std::size_t i = 0; i < layers.size(); ++i) bindings.push_back(binding(static_cast<int>(i)));
  REQUIRE_OK(lngd_plan_create(optimizer.handle(), bindings.data(), static_cast<int>(bindings.size()),
                              LNGD_UPDATE_WEIGHTS, &plan));
}

lngd_binding Rank::binding(int layer) const {
  const Tensors& all = tensors[static_cast<std::size_t>(layer)];
  lngd_binding binding{};
  binding.layer = layer;
  binding.weights = all.weights->view();
  binding.weight_gradients = all.weight_gradients->view();
  if (layers[static_cast<std::size_t>(layer)].bias) {
    binding.bias = all.bias->view();
    binding.bias_gradients = all.bias_gradients->view();
  }
  return binding;
}

bool Rank::awaits(int layer) const {
  std::uint32_t bits = 0;
  REQUIRE_OK(lngd_needs(optimizer.handle(), layer, &bits));
  return bits & LNGD_NEEDS_INVERSES;
}

Rank::~Rank() { lngd_plan_destroy(plan); }

void Rank::fill_gradients(int t) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    Random random(1000 + 10 * static_cast<std::uint64_t>(t) + i);
    for (Tensor* tensor : {tensors[i].weight_gradients.get(), tensors[i].bias_gradients.get()})
      tensor->fill(random_matrix(tensor->rows(), tensor->cols(), &random));
  }
}

void Rank::observe(int t, std::int64_t begin, std::int64_t end) {
  for (std::size_t i = 0; i < layers.size(); ++i)
    if (layers[i].kind != LNGD_LAYER_PARAMETER) REQUIRE_OK(observe_layer(static_cast<int>(i), t, begin, end));
}

lngd_status Rank::observe_layer(int index, int t, std::int64_t begin, std::int64_t end) {
  const lngd_layer_config& layer = layers[static_cast<std::size_t>(index)];
  const std::int64_t samples = end - begin;
  if (numbered) REQUIRE_OK(lngd_set_sample_offset(optimizer.handle(), begin));
  if (samples == 0) return LNGD_OK;
  Random random(5000 + 10 * static_cast<std::uint64_t>(t) + static_cast<std::uint64_t>(index));
  lngd_config config{};
  config.struct_size = sizeof config;
  REQUIRE_OK(lngd_get_config(optimizer.handle(), &config));
  const int fisher = layer.fisher >= 0 ? layer.fisher : config.fisher;
  const int kind = fisher == LNGD_FISHER_PROVIDED ? LNGD_SIGNAL_GRADIENTS : LNGD_SIGNAL_PRE_ACTIVATIONS;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (layer.kind == LNGD_LAYER_CONVOLUTION) {
    const Geometry g = geometry(layer, kHeight, kWidth);
    ImageTensor inputs(samples, layer.inputs, kHeight, kWidth, ImageLayout::Nchw);
    ImageTensor signal(samples, layer.outputs, g.out_height, g.out_width, ImageLayout::Nchw);
    inputs.fill(numbers(kMostSamples, layer.inputs * kHeight * kWidth, whole, &random), begin);
    signal.fill(numbers(kMostSamples, layer.outputs * g.positions(), whole, &random), begin);
    if (poison) inputs.set(0, 0, 0, 0, nan);
    return lngd_observe(optimizer.handle(), index, inputs.pointer(), signal.pointer(), kind);
  }
  if (layer.kind == LNGD_LAYER_EMBEDDING) {
    Tensor inputs(samples, kWidth);
    ImageTensor signal(samples, layer.outputs, 1, kWidth, ImageLayout::Nchw, 1);
    twin::Matrix indices(kMostSamples, kWidth);
    for (double& value : indices.values)
      value = static_cast<double>(random.bits() % static_cast<std::uint64_t>(layer.inputs));
    inputs.fill(rows_of(indices, begin, end));
    signal.fill(numbers(kMostSamples, layer.outputs * kWidth, whole, &random), begin);
    if (poison) inputs.set(0, 0, nan);
    return lngd_observe(optimizer.handle(), index, inputs.pointer(), signal.pointer(), kind);
  }
  Tensor inputs(samples, layer.inputs), signal(samples, layer.outputs);
  inputs.fill(rows_of(numbers(kMostSamples, layer.inputs, whole, &random), begin, end));
  signal.fill(rows_of(numbers(kMostSamples, layer.outputs, whole, &random), begin, end));
  if (poison) inputs.set(0, 0, nan);
  return lngd_observe(optimizer.handle(), index, inputs.pointer(), signal.pointer(), kind);
}

void reduce(const std::vector<Rank*>& ranks) {
  Sums total;
  for (Rank* rank : ranks) {
    REQUIRE_OK(lngd_sums_close(rank->optimizer.handle()));
    const Sums own = read_sums(rank->optimizer);
    if (rank == ranks.front()) {
      total = own;
      continue;
    }
    for (std::size_t i = 0; i < own.floats.size(); ++i) total.floats[i] += own.floats[i];
    for (std::size_t i = 0; i < own.doubles.size(); ++i) total.doubles[i] += own.doubles[i];
  }
  for (Rank* rank : ranks) {
    write_sums(rank->optimizer, total);
    REQUIRE_OK(lngd_sums_reduced(rank->optimizer.handle()));
  }
}

std::vector<float> read_inverses(const Optimizer& optimizer) {
  lngd_inverses view{};
  view.struct_size = sizeof view;
  REQUIRE_OK(lngd_get_inverses(optimizer.handle(), &view));
  std::vector<float> floats(static_cast<std::size_t>(view.float_count));
  copy(optimizer, floats.data(), view.floats, view.float_count);
  return floats;
}

void write_inverses(const Optimizer& optimizer, const std::vector<float>& floats, const Range& range) {
  lngd_inverses view{};
  view.struct_size = sizeof view;
  REQUIRE_OK(lngd_get_inverses(optimizer.handle(), &view));
  copy(optimizer, view.floats + range.offset, floats.data() + range.offset, range.count);
}

Range inverse_range(const Optimizer& optimizer, int owner) {
  Range range{};
  REQUIRE_OK(lngd_inverse_range(optimizer.handle(), owner, &range.offset, &range.count));
  return range;
}

void broadcast_inverses(const std::vector<Rank*>& ranks) {
  for (std::size_t owner = 0; owner < ranks.size(); ++owner) {
    const std::vector<float> own = read_inverses(ranks[owner]->optimizer);
    for (const Rank* rank : ranks)
      if (rank != ranks[owner])
        write_inverses(rank->optimizer, own, inverse_range(rank->optimizer, static_cast<int>(owner)));
  }
}

bool exchange_inverses(const std::vector<Rank*>& ranks) {
  for (const Rank* rank : ranks) REQUIRE_OK(lngd_refresh(rank->plan));
  bool any = false;
  for (int layer = 0; layer < static_cast<int>(ranks[0]->layers.size()); ++layer) {
    any |= ranks[0]->awaits(layer);
    for (const Rank* rank : ranks) CHECK_EQ(rank->awaits(layer), ranks[0]->awaits(layer));
  }
  if (!any) return false;
  broadcast_inverses(ranks);
  for (const Rank* rank : ranks) REQUIRE_OK(lngd_inverses_received(rank->optimizer.handle()));
  return true;
}

} // namespace conformance
