// SPDX-License-Identifier: Apache-2.0
#include "optimizer/optimizer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "optimizer/config.h"
#include "optimizer/error.h"
#include "optimizer/plan.h"

namespace lngd {
namespace {

enum RegionKind { kFactors, kInverses, kMomentum, kAverages, kWorkspace };

LayerShape parameter_shape(const lngd_layer_config& layer, int32_t index) {
  LayerShape shape{};
  shape.index = index;
  shape.parameter = true;
  shape.inputs = shape.d = layer.inputs;
  shape.outputs = shape.groups = 1;
  shape.ldw = padded(shape.d);
  shape.parameter_rules = {layer.method, layer.learning_rate, layer.weight_decay, layer.beta1,
                           layer.beta2,  layer.epsilon,       layer.momentum};
  return shape;
}

// A layer with factors, number `place` of the `count` that there are; parameters are not counted.
LayerShape make_shape(const lngd_config& config, const lngd_layer_config& layer, int32_t index, int32_t place,
                      int32_t count) {
  LayerShape shape{};
  shape.index = index;
  shape.inputs = weight_columns(layer);
  shape.outputs = layer.outputs;
  shape.bias = layer.bias != 0;
  shape.groups = 1;
  if (layer.kind == LNGD_LAYER_CONVOLUTION) {
    shape.convolution = true;
    shape.groups = layer.groups;
    shape.conv.same = layer.padding == LNGD_PADDING_SAME;
    // The only axis of a 1-D convolution is the horizontal one: it is the one that kernels run along.
    for (int axis = 0; axis < layer.rank; ++axis) {
      const int to = axis + 2 - layer.rank;
      shape.conv.kernel[to] = layer.kernel[axis];
      shape.conv.stride[to] = layer.stride[axis];
      shape.conv.before[to] = layer.padding_before[axis];
      shape.conv.after[to] = layer.padding_after[axis];
      shape.conv.dilation[to] = layer.dilation[axis];
    }
  }
  shape.embedding = layer.kind == LNGD_LAYER_EMBEDDING;
  shape.d = shape.inputs + layer.bias;
  shape.ldw = padded(shape.d);
  shape.blocks = shape.embedding ? BlockLayout::diagonal(shape.d, shape.inputs)
                                 : BlockLayout(shape.d, config.block_size, shape.groups);
  shape.approximation = config.approximation;
  if (shape.second_matrix())
    shape.second = BlockLayout(shape.outputs / shape.groups, config.second_block_size, shape.groups);
  shape.activation = layer.activation;
  shape.activation_parameter = static_cast<float>(layer.activation_parameter);
  shape.output = layer.output;
  shape.rules.output_layer = layer.output != LNGD_OUTPUT_HIDDEN && count > 1;
  shape.fisher = layer.fisher >= 0 ? layer.fisher : config.fisher;
  // tau of layer i of L is multiplied by slope^(2 i/(L-1) - 1): slope^-1 at the first layer, slope at the last.
  shape.rules.rate_multiplier = layer.rate_multiplier;
  shape.rules.decay_multiplier = layer.decay_multiplier;
  shape.rules.trust_off = layer.trust_off != 0;
  shape.rules.trust_slope = count > 1 ? std::pow(config.trust_depth_slope, 2.0 * place / (count - 1) - 1.0) : 1.0;
  return shape;
}

} // namespace

Optimizer::Optimizer(const lngd_config& config, const lngd_layer_config* layers, int32_t count) : config_(config) {
  validate(config);
  require(count >= 1, "count is ", count, ", allowed is 1 or more layers");
  for (int32_t i = 0; i < count; ++i) validate(config, layers[i], i);
  std::string why_not_cuda;
  config_.device = choose_device(config_, why_not_cuda);
  backend_ = backend_of(config_.device);
  hash_ = config_hash(config, layers, count);
  Failure failure;
  context_ = backend_->create(config_, failure);
  if (!context_) fail(failure.status, static_cast<const char*>(failure.message));
  config_.threads = backend_->threads(context_);
  times_.struct_size = sizeof times_;
  layers_.resize(static_cast<size_t>(count));
  const auto is_layer = [](const lngd_layer_config& layer) { return layer.kind != LNGD_LAYER_PARAMETER; };
  const auto with_factors = static_cast<int32_t>(std::count_if(layers, layers + count, is_layer));
  int32_t place = 0;
  try {
    std::vector<const LayerShape*> shapes;
    for (int32_t i = 0; i < count; ++i) {
      Layer& layer = layers_[static_cast<size_t>(i)];
      layer.config = layers[i];
      layer.shape =
          is_layer(layers[i]) ? make_shape(config, layers[i], i, place++, with_factors) : parameter_shape(layers[i], i);
      shapes.push_back(&layer.shape);
    }
    sums_layout_ = std::make_unique<const SumsLayout>(shapes);
    allocate_sums();
    allocate_inverses();
    for (Layer& layer : layers_) allocate_layer(layer);
  } catch (...) {
    release_layers();
    backend_->destroy(context_);
    throw;
  }
}

Optimizer::~Optimizer() {
  while (!plans_.empty()) delete plans_.back(); // each takes itself off the list
  release_layers();
  backend_->destroy(context_);
}

void Optimizer::allocate_layer(Layer& layer) {
  const LayerShape& shape = layer.shape;
  LayerMemory& memory = layer.memory;
  LayerRecord record{};
  record.last_failed_block = record.last_failed_pivot = -1;
  record.alpha = record.trust_scale = 1.0;
  write(memory.record, &record, sizeof record);
  memory.momentum = allocate<float>(shape.outputs * shape.ldw);
  if (config_.averaging) memory.average = allocate<float>(shape.outputs * shape.ldw);
  if (shape.parameter) {
    if (shape.adamw()) memory.second_moment = allocate<float>(shape.ldw);
    return;
  }
  memory.phi = allocate<float>(shape.blocks.floats());
  if (shape.second_matrix())
    memory.second = allocate<float>(shape.second_floats());
  else
    memory.psi = allocate<float>(shape.outputs);
  memory.direction = allocate<float>(shape.outputs * shape.ldw);
  if (!backend_->reserve_statistics(context_, shape)) {
    check_device();
    fail(LNGD_OUT_OF_MEMORY, "no memory for statistics workspaces");
  }
}

std::vector<Optimizer::Region> Optimizer::regions(const Layer& layer) const {
  const LayerShape& shape = layer.shape;
  const LayerMemory& memory = layer.memory;
  const int64_t factor = shape.blocks.floats() * static_cast<int64_t>(sizeof(float));
  const int64_t rows = shape.outputs * static_cast<int64_t>(sizeof(float));
  const int64_t weights = shape.ldw * rows;
  const int64_t second = shape.second_floats() * static_cast<int64_t>(sizeof(float));
  const int64_t lambdas = shape.blocks.count() * static_cast<int64_t>(sizeof(double));
  return {{memory.record, static_cast<int64_t>(sizeof(LayerRecord)), kWorkspace, true},
          {memory.phi, factor, kFactors, true},
          {memory.phi_inverse, factor, kInverses, true, true},
          {memory.lambda_phi, lambdas, kInverses, true, true},
          {memory.psi, memory.psi ? rows : 0, kFactors, true},
          {memory.psi_inverse, memory.psi_inverse ? rows : 0, kInverses, true, true},
          {memory.second, second, kFactors, true},
          {memory.second_inverse, second, kInverses, true, true},
          {memory.lambda_second, shape.second_count() * static_cast<int64_t>(sizeof(double)), kInverses, true, true},
          {memory.scales, memory.scales ? weights : 0, kFactors, true, true},
          {memory.basis_values, memory.basis_values ? shape.groups * shape.d * 4 + rows : 0, kInverses, true, true},
          {memory.momentum, weights, kMomentum, true},
          {memory.direction, memory.direction ? weights : 0, kWorkspace, false},
          {memory.average, memory.average ? weights : 0, kAverages, memory.average != nullptr},
          {memory.second_moment, memory.second_moment ? weights : 0, kMomentum, true}};
}

void Optimizer::release_layers() {
  for (const Layer& layer : layers_)
    for (const Region& region : regions(layer))
      if (region.memory && !region.in_buffer && region.memory != layer.memory.record)
        backend_->release(context_, region.memory);
  if (inverses_) backend_->release(context_, inverses_);
  release_sums();
}

void Optimizer::set_gradient_scale(const ScaleSource& source) {
  require(source.at != nullptr || (std::isfinite(source.scale) && source.scale > 0), "scale is ", source.scale,
          ", allowed is a finite number above 0");
  require(source.signals == 0 || source.signals == 1, "signals is ", source.signals, ", allowed is 0 or 1");
  require_no_capture();
  scale_ = source;
}

Scaling Optimizer::scaling(bool with_flag) const {
  const auto read_host = [](const float* at) {
    float value;
    std::memcpy(&value, at, sizeof value); // at any byte address
    return value;
  };
  Scaling scaling;
  scaling.inverse = 1 / scale_.scale;
  scaling.signals = scale_.signals;
  if (scale_.at && scale_.at_device) scaling.scale = scale_.at;
  if (scale_.at && !scale_.at_device) scaling.inverse = 1.0 / static_cast<double>(read_host(scale_.at));
  if (!with_flag || !scale_.found_inf) return scaling;
  if (scale_.found_inf_device)
    scaling.found_inf = scale_.found_inf;
  else
    scaling.skip = read_host(scale_.found_inf) != 0.0f;
  return scaling;
}

void Optimizer::set(int32_t setting, double value) { apply_setting(config_, setting, value); }

const Layer& Optimizer::layer(int32_t index) const {
  require(index >= 0 && index < layer_count(), "layer is ", index, ", allowed is 0 to ", layer_count() - 1);
  return layers_[static_cast<size_t>(index)];
}

Layer& Optimizer::layer(int32_t index) { return const_cast<Layer&>(static_cast<const Optimizer*>(this)->layer(index)); }

bool Optimizer::awaits(const Layer& layer) const {
  // A layer without any average asks at every step: it cannot move before it has one.
  return !layer.shape.parameter && (layer.steps % config_.statistics_interval == 0 || !layer.has_average);
}

uint32_t Optimizer::needs(const Layer& layer) const {
  uint32_t bits = 0;
  if (layer.shape.parameter) return bits;
  if (awaits(layer) && !layer.refreshed && !layer.reduced && !sums_closed_) bits |= LNGD_NEEDS_STATISTICS;
  if (config_.rate == LNGD_RATE_EMPIRICAL) bits |= LNGD_NEEDS_DELTAS;
  if (layer.awaiting) bits |= LNGD_NEEDS_INVERSES;
  return bits;
}

void Optimizer::check_signal(const Layer& layer, int32_t signal_kind) const {
  require(signal_kind >= 0 && signal_kind <= LNGD_SIGNAL_GRADIENTS, "signal_kind is ", signal_kind,
          ", allowed is 0 to 2");
  const bool provided = layer.shape.fisher == LNGD_FISHER_PROVIDED;
  require((signal_kind == LNGD_SIGNAL_GRADIENTS) == provided, "signal_kind is ", signal_kind, ", allowed is ",
          provided ? "LNGD_SIGNAL_GRADIENTS (2): the layer's fisher is PROVIDED"
                   : "0 or 1: LNGD_SIGNAL_GRADIENTS (2) needs fisher PROVIDED");
  const bool gaussian = layer.shape.output == LNGD_OUTPUT_HIDDEN || layer.shape.output == LNGD_OUTPUT_SQUARED_ERROR;
  const bool no_inverse =
      gaussian && (layer.shape.activation == LNGD_ACTIVATION_GELU || layer.shape.activation == LNGD_ACTIVATION_SWISH);
  require(signal_kind != LNGD_SIGNAL_OUTPUTS || !no_inverse,
          "signal_kind is LNGD_SIGNAL_OUTPUTS (1), allowed is LNGD_SIGNAL_PRE_ACTIVATIONS (0): GELU and SWISH cannot "
          "be read backwards from their outputs");
}

template <typename Args, typename View>
void Optimizer::feed(Layer& layer, int64_t samples, const View& inputs, const View& signal, int32_t signal_kind,
                     void (*kernel)(Context&, const Args&)) {
  check_signal(layer, signal_kind);
  if (!(needs(layer) & LNGD_NEEDS_STATISTICS)) return;
  if (config_.statistics_samples > 0) samples = std::min(samples, config_.statistics_samples - layer.observed_samples);
  if (samples <= 0) return;
  require_no_capture();
  const auto start = std::chrono::steady_clock::now();
  const int64_t first = sample_offset_ + layer.observed_samples;
  const Args args{&layer.shape, &layer.memory, inputs,      signal,       signal_kind,
                  samples,      first,         layer.steps, config_.seed, precision(layer)};
  begin_sums(layer);
  kernel(*context_, args);
  end_sums(layer, samples);
  times_.statistics += std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
}

void Optimizer::observe(Layer& layer, int64_t samples, Strided inputs, Strided signal, int32_t signal_kind) {
  feed(layer, samples, inputs, signal, signal_kind, backend_->layer_statistics);
}

void Optimizer::observe(Layer& layer, int64_t samples, const Activations& inputs, const Activations& signal,
                        int32_t signal_kind) {
  feed(layer, samples, inputs, signal, signal_kind, backend_->conv_statistics);
}

void Optimizer::discard(int32_t index) {
  require_no_capture();
  if (sums_closed_) {
    if (index != LNGD_ALL_LAYERS)
      fail(LNGD_INVALID_STATE, "layer is ", index, ", allowed is -1 (all layers) while the sums are closed");
    synchronize(); // the caller's stream may still write to them
    for (Layer& layer : layers_) layer.torn = !layer.shape.parameter;
    sums_closed_ = false;
  }
  for (Layer& layer : layers_) {
    if (layer.shape.parameter || (index != LNGD_ALL_LAYERS && layer.shape.index != index)) continue;
    layer.closed = layer.reduced = false;
    if (layer.observed_samples == 0 && !layer.torn) continue;
    layer.observed_samples = 0;
    layer.torn = true; // if the device fails now, the next observation tries again
    backend_->discard_statistics(*context_, layer.shape, layer.memory);
    check_device();
    layer.torn = layer.failed = false;
  }
}

void Optimizer::take_signal_reference() {
  if (config_.damping != LNGD_DAMPING_SIGNAL || config_.signal_reference > 0) return;
  double sum = 0;
  int64_t count = 0;
  for (const Layer& layer : layers_) {
    if (layer.shape.parameter) continue;
    LayerRecord record;
    read(&record, layer.memory.record, sizeof record);
    const double signal = record.input_square * record.signal_square;
    // A layer that no signal reaches says nothing, and its logarithm would be all that counts.
    if (!record.has_average || !(signal > 0)) continue;
    sum += std::log(signal);
    ++count;
  }
  if (count > 0) config_.signal_reference = std::exp(sum / static_cast<double>(count));
}

void Optimizer::begin_sums(Layer& layer) {
  if (layer.torn) backend_->discard_statistics(*context_, layer.shape, layer.memory);
  layer.torn = layer.failed = true; // unless end_sums says otherwise
}

void Optimizer::end_sums(Layer& layer, int64_t samples) {
  const int64_t before = layer.observed_samples;
  layer.observed_samples = 0;
  check_device();
  layer.observed_samples = before + samples;
  layer.torn = layer.failed = false;
}

void Optimizer::fisher_rows(const Layer& layer, int64_t step, int64_t samples, Strided inputs, Strided signal,
                            int32_t signal_kind, const FisherRows& out) const {
  check_signal(layer, signal_kind);
  require(step >= 0, "step is ", step, ", allowed is 0 or more");
  require_no_capture();
  LayerMemory memory = layer.memory;
  const StatisticsArgs args{&layer.shape, &memory, inputs, signal,       signal_kind,
                            samples,      0,       step,   config_.seed, precision(layer)};
  backend_->fisher_rows(*context_, args, out);
  check_device();
}

void Optimizer::fisher_rows(const Layer& layer, int64_t step, int64_t samples, const Activations& inputs,
                            const Activations& signal, int32_t signal_kind, const FisherRows& out) const {
  check_signal(layer, signal_kind);
  require(step >= 0, "step is ", step, ", allowed is 0 or more");
  require_no_capture();
  LayerMemory memory = layer.memory;
  const ConvStatisticsArgs args{&layer.shape, &memory, inputs, signal,       signal_kind,
                                samples,      0,       step,   config_.seed, precision(layer)};
  backend_->conv_fisher_rows(*context_, args, out);
  check_device();
}

int32_t Optimizer::precision(const Layer& layer) const {
  const bool vectors = layer.shape.embedding && !layer.shape.second_matrix(); // no factor is a matrix
  if (config_.device == LNGD_DEVICE_CPU || vectors || layer.shape.parameter) return LNGD_PRECISION_FP32;
  return statistics_precision(config_, layer.shape.blocks);
}

lngd_health Optimizer::health(const Layer& layer) const {
  LayerRecord record;
  read(&record, layer.memory.record, sizeof record);
  lngd_health h{};
  h.struct_size = sizeof h;
  h.last_failed_block = record.last_failed_block;
  h.last_failed_pivot = record.last_failed_pivot;
  h.last_step_skipped = record.last_step_skipped;
  h.steps = layer.steps;
  h.statistics_updates = record.statistics_updates;
  h.inverse_updates = record.inverse_updates;
  h.skipped_statistics = record.skipped_statistics;
  h.retries = record.retries;
  h.failed_inverses = record.failed_inverses;
  h.skipped_steps = record.skipped_steps;
  if (record.has_inverse) {
    std::vector<double> lambda(static_cast<size_t>(layer.shape.blocks.count()));
    read(lambda.data(), layer.memory.lambda_phi, lambda.size() * sizeof(double));
    h.lambda_phi_min = *std::min_element(lambda.begin(), lambda.end());
    h.lambda_phi_max = *std::max_element(lambda.begin(), lambda.end());
    h.lambda_psi = record.lambda_psi;
  }
  h.alpha = record.alpha;
  h.inner_product = record.inner_product;
  h.curvature = record.curvature;
  h.direction_norm = record.direction_norm;
  h.weight_norm = record.weight_norm;
  h.trust_scale = record.trust_scale;
  return h;
}

void Optimizer::require_alive() const {
  if (!lost_.empty()) fail(LNGD_DEVICE_LOST, lost_);
}

void Optimizer::check_device() const {
  const Failure failure = backend_->take_failure(context_);
  if (failure.status == LNGD_OK) return;
  if (failure.status == LNGD_DEVICE_LOST) lost_ = failure.message;
  fail(failure.status, static_cast<const char*>(failure.message));
}

void Optimizer::require_no_capture() const {
  if (backend_->capturing(context_))
    fail(LNGD_INVALID_STATE, "the stream of lngd_set_stream is being captured: only lngd_step can be called then");
  check_device();
}

void Optimizer::read(void* host, const void* memory, size_t bytes) const {
  require_no_capture();
  backend_->read(context_, host, memory, bytes);
  check_device();
}

void Optimizer::write(void* memory, const void* host, size_t bytes) {
  require_no_capture();
  backend_->write(context_, memory, host, bytes);
  check_device();
}

void Optimizer::set_stream(void* stream) {
  require(stream == nullptr || config_.device != LNGD_DEVICE_CPU, "stream is ", stream,
          ", allowed is NULL: the CPU backend has no streams");
  require_no_capture();
  backend_->set_stream(context_, stream);
  check_device();
}

void Optimizer::synchronize() const {
  require_no_capture();
  backend_->synchronize(context_);
  check_device();
}

void* Optimizer::device_allocate(int64_t bytes) {
  require(bytes >= 1, "bytes is ", bytes, ", allowed is 1 or more");
  require_no_capture();
  return allocate<char>(bytes);
}

void Optimizer::device_free(void* memory) {
  require_no_capture();
  backend_->release(context_, memory);
  check_device();
}

void Optimizer::device_copy(void* to, const void* from, int64_t bytes) const {
  require(bytes >= 0, "bytes is ", bytes, ", allowed is 0 or more");
  require_no_capture();
  if (bytes > 0) backend_->copy(context_, to, from, static_cast<size_t>(bytes));
  check_device();
}

lngd_memory Optimizer::memory() const {
  lngd_memory m{};
  m.struct_size = sizeof m;
  int64_t* const kinds[] = {&m.factors, &m.inverses, &m.momentum, &m.averages, &m.workspace};
  m.inverses = inverses_layout_->floats * static_cast<int64_t>(sizeof(float));
  for (const Layer& layer : layers_)
    for (const Region& region : regions(layer))
      if (!region.in_buffer) *kinds[region.kind] += region.bytes;
  m.factors += sums_bytes();
  m.workspace += backend_->workspace_bytes(context_);
  for (const StepPlan* plan : plans_) m.workspace += plan->bytes();
  m.total = m.factors + m.inverses + m.momentum + m.averages + m.workspace;
  return m;
}

} // namespace lngd
