// SPDX-License-Identifier: Apache-2.0
//
// See training.hpp.
#include "training.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace conformance {
namespace {

template <class T>
void append(std::vector<std::uint8_t>* bytes, const T* data, std::size_t count) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(data);
  bytes->insert(bytes->end(), begin, begin + count * sizeof(T));
}

} // namespace

Training::Training(const Case& what) : case_(what) {
  optimizer_ = std::make_unique<Optimizer>(case_.config, case_.layers);
  if (case_.stream) REQUIRE_OK(lngd_set_stream(optimizer_->handle(), case_.stream));
  if (case_.loss_scale != 1)
    REQUIRE_OK(lngd_set_gradient_scale(optimizer_->handle(), case_.loss_scale, nullptr, case_.scaled_signals ? 1 : 0,
                                       nullptr));
  Random random(case_.seed * 7919 + 13);
  std::vector<lngd_binding> bindings;
  for (int l = 0; l < count(); ++l) {
    const lngd_layer_config& layer = case_.layers[static_cast<std::size_t>(l)];
    twins_.emplace_back(case_.config, layer, l, count());
    const std::int64_t m = layer.outputs, d_w = twin::weight_columns(layer), d = d_w + layer.bias;
    const twin::Matrix w = random_matrix(m, d, &random, 1 / std::sqrt(static_cast<double>(d)));
    twins_.back().set_weights(w);
    Tensors tensors;
    tensors.weights = std::make_unique<Tensor>(m, d_w, layout(l, 0));
    tensors.bias = std::make_unique<Tensor>(m, layout(l, 1));
    tensors.weight_gradients = std::make_unique<Tensor>(m, d_w, layout(l, 2));
    tensors.bias_gradients = std::make_unique<Tensor>(m, layout(l, 3));
    tensors.weights->fill(w);
    if (layer.bias)
      for (std::int64_t i = 0; i < m; ++i) tensors.bias->set(i, 0, w(i, d - 1));
    lngd_binding binding{};
    binding.layer = l;
    binding.weights = place(*tensors.weights, kWeightsOnDevice, tensors.weights_there);
    binding.weight_gradients = place(*tensors.weight_gradients, kGradientsOnDevice, tensors.gradients_there);
    if (layer.bias) {
      binding.bias = place(*tensors.bias, kWeightsOnDevice, tensors.weights_there);
      binding.bias_gradients = place(*tensors.bias_gradients, kGradientsOnDevice, tensors.gradients_there);
    }
    bindings.push_back(binding);
    tensors_.push_back(std::move(tensors));
    weight_error_.push_back(0);
    momentum_error_.push_back(0);
  }
  REQUIRE_OK(lngd_plan_create(optimizer_->handle(), bindings.data(), count(), case_.update, &plan_));
}

Training::~Training() {
  lngd_plan_destroy(plan_);
  tensors_.clear(); // their memory on the device goes before the optimizer
  batches_there_.clear();
}

Layout Training::layout(int layer, int role) const {
  if (!case_.all_layouts) return case_.layout;
  return kLayouts[static_cast<std::size_t>(layer * 3 + role) % std::size(kLayouts)];
}

ImageLayout Training::image_layout(int layer, int role) const {
  if (!case_.all_layouts) return case_.image_layout;
  return kImageLayouts[static_cast<std::size_t>(layer * 3 + role) % std::size(kImageLayouts)];
}

Training::Batch Training::batch(int l) const {
  const lngd_layer_config& layer = case_.layers[static_cast<std::size_t>(l)];
  Random random(case_.seed + 1000003u * static_cast<std::uint64_t>(step_) + 7777777u * static_cast<std::uint64_t>(l));
  const bool convolution = layer.kind == LNGD_LAYER_CONVOLUTION, embedding = layer.kind == LNGD_LAYER_EMBEDDING;
  Batch data;
  data.size = geometry(layer, case_.height, case_.width);
  const std::int64_t samples = case_.batch, n = samples * data.size.positions(), m = layer.outputs;
  const std::int64_t groups = convolution ? layer.groups : 1;
  const std::int64_t d_w = twin::weight_columns(layer), d = d_w + layer.bias;
  // Shifted, since real inputs (pixels, outputs of ReLU) are not centred: Phi then has one large eigenvalue.
  data.inputs = random_matrix(samples, convolution ? layer.inputs * data.size.height * data.size.width : d_w, &random);
  for (double& value : data.inputs.values) value = static_cast<float>(value + 0.5);
  if (convolution) {
    data.images = data.inputs;
    data.inputs = patches(layer, data.size, data.images);
  }
  if (embedding) { // small indices are frequent, the largest is never met: real vocabularies are like that
    data.images = twin::Matrix(samples, data.size.positions());
    for (double& index : data.images.values)
      index = std::floor(static_cast<double>(std::max<std::int64_t>(1, d_w - 1)) * std::pow(random.uniform(), 2));
    data.inputs = one_hot(data.images, d_w);
  }
  data.signal = random_matrix(n, m, &random);
  data.deltas = random_matrix(n, m, &random);
  const int fisher = layer.fisher < 0 ? case_.config.fisher : layer.fisher;
  data.signal_kind = fisher == LNGD_FISHER_PROVIDED ? static_cast<int>(LNGD_SIGNAL_GRADIENTS) : case_.signal_kind;
  if (data.signal_kind == LNGD_SIGNAL_OUTPUTS) {
    for (std::int64_t k = 0; k < n; ++k) {
      std::vector<double> s(static_cast<std::size_t>(m));
      for (std::int64_t i = 0; i < m; ++i) s[static_cast<std::size_t>(i)] = data.signal(k, i);
      const std::vector<double> p = twin::softmax(s);
      const bool softmax = layer.output == LNGD_OUTPUT_SOFTMAX || layer.output == LNGD_OUTPUT_SOFTMAX_GAUSSIAN;
      const int activation =
          layer.output == LNGD_OUTPUT_SIGMOID ? static_cast<int>(LNGD_ACTIVATION_SIGMOID) : layer.activation;
      for (std::int64_t i = 0; i < m; ++i)
        data.signal(k, i) = softmax ? p[static_cast<std::size_t>(i)]
                                    : twin::activation(activation, layer.activation_parameter, data.signal(k, i));
    }
    data.signal = rounded(data.signal);
  }
  // G = (1/N) sum_n delta_n a_n^T, over the positions too
  data.gradient = twin::Matrix(m, d);
  for (std::int64_t k = 0; k < n; ++k)
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < d; ++j)
        data.gradient(i, j) += data.deltas(k, i) * (j < d_w ? data.inputs(k, i / (m / groups) * d_w + j) : 1.0) /
                               static_cast<double>(samples);
  data.gradient = rounded(data.gradient);
  return data;
}

Training::Positional Training::positional(int l, const Batch& data, const twin::Matrix& signal, std::int64_t begin,
                                          std::int64_t end) {
  const lngd_layer_config& layer = case_.layers[static_cast<std::size_t>(l)];
  const bool embedding = layer.kind == LNGD_LAYER_EMBEDDING;
  Positional tensors{};
  if (embedding) {
    batches_.push_back(std::make_unique<Tensor>(end - begin, data.images.cols, layout(l, 4)));
    for (std::int64_t n = begin; n < end; ++n)
      for (std::int64_t t = 0; t < data.images.cols; ++t) batches_.back()->set(n - begin, t, data.images(n, t));
    tensors.inputs = place(*batches_.back(), kBatchesOnDevice, batches_there_);
  } else {
    images_.push_back(std::make_unique<ImageTensor>(end - begin, layer.inputs, data.size.height, data.size.width,
                                                    image_layout(l, 4), layer.rank));
    images_.back()->fill(data.images, begin);
    tensors.inputs = place(*images_.back(), kBatchesOnDevice, batches_there_);
  }
  images_.push_back(std::make_unique<ImageTensor>(end - begin, layer.outputs, data.size.out_height, data.size.out_width,
                                                  image_layout(l, 5), embedding ? 1 : layer.rank));
  images_.back()->fill_rows(signal, begin);
  tensors.signal = place(*images_.back(), kBatchesOnDevice, batches_there_);
  return tensors;
}

bool Training::guards_intact() const {
  for (const auto& image : images_)
    if (!image->guards_intact()) return false;
  for (const auto& batch : batches_)
    if (!batch->guards_intact()) return false;
  return true;
}

void Training::observe_images(int l, const Batch& data) {
  for (int part = 0; part < case_.micro_batches; ++part) {
    const std::int64_t begin = case_.batch * part / case_.micro_batches;
    const std::int64_t end = case_.batch * (part + 1) / case_.micro_batches;
    if (begin == end) continue;
    const Positional part_of = positional(l, data, data.signal, begin, end);
    REQUIRE_OK(lngd_observe(optimizer_->handle(), l, &part_of.inputs, &part_of.signal, data.signal_kind));
    CHECK(guards_intact());
  }
}

void Training::observe(int l, const Batch& data) {
  if (case_.layers[static_cast<std::size_t>(l)].kind != LNGD_LAYER_DENSE) return observe_images(l, data);
  const std::int64_t n = data.inputs.rows;
  for (int part = 0; part < case_.micro_batches; ++part) {
    const std::int64_t begin = n * part / case_.micro_batches, end = n * (part + 1) / case_.micro_batches;
    if (begin == end) continue;
    batches_.push_back(std::make_unique<Tensor>(end - begin, data.inputs.cols, layout(l, 4)));
    Tensor& inputs = *batches_.back();
    batches_.push_back(std::make_unique<Tensor>(end - begin, data.signal.cols, layout(l, 5)));
    Tensor& signal = *batches_.back();
    for (std::int64_t k = begin; k < end; ++k) {
      for (std::int64_t j = 0; j < inputs.cols(); ++j) inputs.set(k - begin, j, data.inputs(k, j));
      for (std::int64_t i = 0; i < signal.cols(); ++i) signal.set(k - begin, i, data.signal(k, i));
    }
    if (case_.strided_observe) {
      const auto* a = static_cast<const float*>(inputs.pointer()->data);
      const auto* s = static_cast<const float*>(signal.pointer()->data);
      REQUIRE_OK(lngd_observe_strided(optimizer_->handle(), l, end - begin, a, inputs.cols(), 1, s, signal.cols(), 1,
                                      data.signal_kind));
    } else {
      const lngd_tensor a = place(inputs, kBatchesOnDevice, batches_there_);
      const lngd_tensor s = place(signal, kBatchesOnDevice, batches_there_);
      REQUIRE_OK(lngd_observe(optimizer_->handle(), l, &a, &s, data.signal_kind));
    }
    CHECK(inputs.guards_intact() && signal.guards_intact());
  }
}

Training::Batch Training::scaled(Batch data) const {
  const auto scale = [this](twin::Matrix& m) {
    for (double& x : m.values) x *= case_.loss_scale;
  };
  scale(data.gradient);
  scale(data.deltas);
  if (data.signal_kind == LNGD_SIGNAL_GRADIENTS && case_.scaled_signals) scale(data.signal);
  return data;
}

void Training::step(double factor) {
  std::vector<Batch> batches;
  std::vector<lngd_samples> samples;
  for (int l = 0; l < count(); ++l) {
    batches.push_back(batch(l));
    const Batch data = scaled(batches.back());
    twin::Layer& twin = twins_[static_cast<std::size_t>(l)];
    CHECK_EQ(optimizer_->needs_statistics(l), twin.statistics_due());
    observe(l, data);
    twin.observe(batches.back().inputs, batches.back().signal, data.signal_kind, data.size.positions());
    Tensors& tensors = tensors_[static_cast<std::size_t>(l)];
    tensors.weight_gradients->fill(data.gradient);
    for (std::int64_t i = 0; i < twin.rows(); ++i)
      tensors.bias_gradients->set(i, 0, data.gradient(i, twin.columns() - 1));
    for (const auto& there : tensors.gradients_there) there->upload();
    lngd_samples sample{};
    const lngd_layer_config& layer = case_.layers[static_cast<std::size_t>(l)];
    if (layer.kind != LNGD_LAYER_DENSE) {
      const Positional tensors_of = positional(l, data, data.deltas, 0, case_.batch);
      sample.inputs = tensors_of.inputs;
      sample.deltas = tensors_of.signal;
      samples.push_back(sample);
      continue;
    }
    batches_.push_back(std::make_unique<Tensor>(case_.batch, data.inputs.cols, layout(l, 4)));
    batches_.back()->fill(data.inputs);
    sample.inputs = place(*batches_.back(), kBatchesOnDevice, batches_there_);
    batches_.push_back(std::make_unique<Tensor>(case_.batch, twin.rows(), layout(l, 5)));
    batches_.back()->fill(data.deltas);
    sample.deltas = place(*batches_.back(), kBatchesOnDevice, batches_there_);
    samples.push_back(sample);
  }
  std::vector<twin::Matrix> gradients_before;
  for (const Tensors& tensors : tensors_) gradients_before.push_back(tensors.weight_gradients->values());
  const bool empirical = case_.config.rate == LNGD_RATE_EMPIRICAL;
  if (case_.refresh) REQUIRE_OK(lngd_refresh(plan_));
  REQUIRE_OK(lngd_step(plan_, factor, empirical ? samples.data() : nullptr));
  for (Tensors& tensors : tensors_) {
    for (const auto& there : tensors.weights_there) there->download();
    for (const auto& there : tensors.gradients_there) there->download();
  }
  batches_there_.clear();
  batches_.clear();
  images_.clear();

  take_signal_reference();
  clip(batches);
  for (int l = 0; l < count(); ++l) {
    const auto k = static_cast<std::size_t>(l);
    if (case_.update == LNGD_UPDATE_GRADIENTS)
      apply_gradient(l);
    else
      CHECK_EQ(largest_difference(tensors_[k].weight_gradients->values(), gradients_before[k]), 0.0); // only read
    twin::Layer& twin = twins_[k];
    const double path = twin.path();
    twin.step(factor, batches[k].gradient, &batches[k].inputs, &batches[k].deltas, batches[k].size.positions());
    // What meets in zeta: the error of D, with a trust ratio that of its norm and of ||W|| once more, and that of
    // alpha_l (which cancels where the length is prescribed); with a soft ratio that of ||D|| and its average too. It
    // stays in the momentum as zeta itself does.
    const double direction = direction_error(twin), soft = case_.config.soft_trust ? 2 : 0;
    const double trusted = case_.config.trust == LNGD_TRUST_OFF ? 0 : 1 + soft;
    const double rate = case_.config.trust == LNGD_TRUST_ALWAYS ? 0 : 2 * direction * twin.rate_amplification();
    const double drift = (trusted > 0) * weight_error_[k] / std::max(twin.health().weight_norm, 1e-3);
    const double zeta_error = ((1 + trusted) * direction + rate + drift + 4 * kEps) * (twin.path() - path);
    const double momentum = case_.config.momentum;
    momentum_error_[k] = momentum * momentum_error_[k] + zeta_error + 2 * kEps * norm(twin.momentum());
    weight_error_[k] += case_.config.nesterov ? momentum * momentum_error_[k] + zeta_error : momentum_error_[k];
    weight_error_[k] += 2 * kEps * norm(twin.weights());
  }
  ++step_;
}

// g <- min(1, largest / (norm + 1e-6)) g, for the twins.
void Training::clip(std::vector<Batch>& batches) {
  const double largest = case_.config.gradient_clipping;
  if (largest == 0) return;
  double square = 0;
  for (const Batch& data : batches)
    for (const double g : data.gradient.values) square += g * g;
  double seen = 0;
  REQUIRE_OK(lngd_gradient_norm(plan_, &seen));
  // Gradients of a scaled loss were rounded once more, but for a power of two.
  CHECK_NEAR(seen, std::sqrt(square), (1e-13 + (case_.loss_scale == 1 ? 0 : kEps)) * std::sqrt(square));
  const double factor = std::min(1.0, largest / (std::sqrt(square) + 1e-6));
  if (factor < 1) ++clipped_;
  for (Batch& data : batches)
    for (double& g : data.gradient.values) g *= factor;
}

// S0 = exp(mean over the layers of ln(alpha_l beta_l)) at the first inversion, of layers that have had a signal.
void Training::take_signal_reference() {
  for (twin::Layer& twin : twins_) twin.take_due_statistics();
  if (case_.config.damping != LNGD_DAMPING_SIGNAL || case_.config.signal_reference > 0) return;
  double sum = 0;
  int heard = 0;
  for (const twin::Layer& twin : twins_)
    if (twin.signal() > 0) sum += std::log(twin.signal()), ++heard;
  if (heard == 0) return;
  case_.config.signal_reference = std::exp(sum / heard);
  for (twin::Layer& twin : twins_) twin.set_signal_reference(case_.config.signal_reference);
}

// What a framework does with LNGD_UPDATE_GRADIENTS: W -= gradient, in float32.
void Training::apply_gradient(int l) {
  Tensors& tensors = tensors_[static_cast<std::size_t>(l)];
  const bool bias = case_.layers[static_cast<std::size_t>(l)].bias != 0;
  for (std::int64_t i = 0; i < tensors.weights->rows(); ++i) {
    for (std::int64_t j = 0; j < tensors.weights->cols(); ++j)
      tensors.weights->set(i, j, tensors.weights->get(i, j) - tensors.weight_gradients->get(i, j));
    if (bias) tensors.bias->set(i, 0, tensors.bias->get(i) - tensors.bias_gradients->get(i));
  }
  for (const auto& there : tensors.weights_there) there->upload();
}

twin::Matrix Training::weights(int l) const {
  const Tensors& tensors = tensors_[static_cast<std::size_t>(l)];
  const twin::Layer& twin = reference(l);
  twin::Matrix w(twin.rows(), twin.columns());
  for (std::int64_t i = 0; i < w.rows; ++i)
    for (std::int64_t j = 0; j < w.cols; ++j)
      w(i, j) = j < tensors.weights->cols() ? tensors.weights->get(i, j) : tensors.bias->get(i);
  return w;
}

void Training::run() {
  for (int t = 0; t < case_.steps; ++t) {
    step(1 - 0.1 * t / case_.steps);
    compare();
  }
}

void Training::fill_gradients(double value) {
  for (Tensors& tensors : tensors_) {
    tensors.weight_gradients->fill(value);
    tensors.bias_gradients->fill(value);
  }
}

void Training::set(int setting, double value) {
  REQUIRE_OK(lngd_set(optimizer_->handle(), setting, value));
  lngd_config now;
  std::memset(&now, 0, sizeof now);
  now.struct_size = sizeof now;
  REQUIRE_OK(lngd_get_config(optimizer_->handle(), &now));
  for (twin::Layer& twin : twins_) twin.set_config(now);
  case_.config = now;
}

void Training::adopt_weights(const Training& other) {
  for (int l = 0; l < count(); ++l) {
    const twin::Matrix w = other.weights(l);
    Tensors& tensors = tensors_[static_cast<std::size_t>(l)];
    tensors.weights->fill(w);
    for (std::int64_t i = 0; i < w.rows; ++i) tensors.bias->set(i, 0, w(i, w.cols - 1));
    for (const auto& there : tensors.weights_there) there->upload();
  }
  step_ = other.step_;
  twins_ = other.twins_;
  weight_error_ = other.weight_error_;
  momentum_error_ = other.momentum_error_;
}

std::vector<std::uint8_t> Training::bits() const {
  std::vector<std::uint8_t> bytes;
  for (int l = 0; l < count(); ++l) {
    const twin::Matrix w = weights(l);
    append(&bytes, w.values.data(), w.values.size());
    for (int field = LNGD_FIELD_PHI; field <= LNGD_FIELD_MOMENTUM; ++field) {
      const std::vector<float> values = optimizer_->read(l, field);
      append(&bytes, values.data(), values.size());
    }
    if (case_.config.averaging) {
      const std::vector<float> values = optimizer_->read(l, LNGD_FIELD_AVERAGE);
      append(&bytes, values.data(), values.size());
    }
    const lngd_health health = optimizer_->health(l);
    append(&bytes, &health, 1);
  }
  return bytes;
}

std::vector<std::uint8_t> bits_of_case(const Case& what) {
  const Scope scope("case " + what.name);
  Training training(what);
  for (int t = 0; t < what.steps; ++t) training.step(1 - 0.1 * t / what.steps);
  return training.bits();
}

std::vector<std::uint8_t> run_case(const Case& what) {
  const Scope scope("case " + what.name);
  Training training(what);
  training.run();
  return training.bits();
}

} // namespace conformance
