// SPDX-License-Identifier: Apache-2.0
#include "reduction.hpp"

#include <cmath>
#include <limits>

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

Rank::Rank(const lngd_config& config, const std::vector<lngd_layer_config>& network, bool whole_numbers)
    : layers(network), whole(whole_numbers), optimizer(config, network) {
  std::vector<lngd_binding> bindings;
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
    lngd_binding binding{};
    binding.layer = static_cast<int>(i);
    binding.weights = all.weights->view();
    binding.weight_gradients = all.weight_gradients->view();
    if (layer.bias) {
      binding.bias = all.bias->view();
      binding.bias_gradients = all.bias_gradients->view();
    }
    bindings.push_back(binding);
    tensors.push_back(std::move(all));
  }
  REQUIRE_OK(lngd_plan_create(optimizer.handle(), bindings.data(), static_cast<int>(bindings.size()),
                              LNGD_UPDATE_WEIGHTS, &plan));
  fill_gradients(0);
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

} // namespace conformance
