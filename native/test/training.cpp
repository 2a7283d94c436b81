// SPDX-License-Identifier: Apache-2.0
//
// See training.hpp.
#include "training.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace conformance {
namespace {

// Relative error allowed in sums of n products in float32: the probabilistic bound sqrt(n) u of Higham and Mary (SIAM
// J. Sci. Comput. 41, 2019) instead of the worst case n u, plus 16 u for what surrounds a sum (activation, squares,
// running average).
double sum_error(std::int64_t n) { return 2 * (std::sqrt(static_cast<double>(n)) + 16) * kEps; }

// Relative error allowed in the inverse, and so in D: errors of Phi and of the factorisation grow by its condition
// number.
double direction_error(const twin::Layer& layer) {
  const std::int64_t widest = layer.second_matrix() ? std::max(layer.columns(), layer.rows()) : layer.columns();
  return (sum_error(layer.rows_used()) + sum_error(widest)) * layer.condition();
}

template <class T>
void append(std::vector<std::uint8_t>* bytes, const T* data, std::size_t count) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(data);
  bytes->insert(bytes->end(), begin, begin + count * sizeof(T));
}

} // namespace

Training::Training(const Case& what) : case_(what) {
  optimizer_ = std::make_unique<Optimizer>(case_.config, case_.layers);
  if (case_.stream) REQUIRE_OK(lngd_set_stream(optimizer_->handle(), case_.stream));
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

void Training::step(double factor) {
  std::vector<Batch> batches;
  std::vector<lngd_samples> samples;
  for (int l = 0; l < count(); ++l) {
    batches.push_back(batch(l));
    const Batch& data = batches.back();
    twin::Layer& twin = twins_[static_cast<std::size_t>(l)];
    CHECK_EQ(optimizer_->needs_statistics(l), twin.statistics_due());
    observe(l, data);
    twin.observe(data.inputs, data.signal, data.signal_kind, data.size.positions());
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
    // alpha_l (which cancels where the length is prescribed). It stays in the momentum as zeta itself does.
    const double direction = direction_error(twin), trusted = case_.config.trust == LNGD_TRUST_OFF ? 0 : 1;
    const double rate = case_.config.trust == LNGD_TRUST_ALWAYS ? 0 : 2 * direction * twin.rate_amplification();
    const double drift = trusted * weight_error_[k] / std::max(twin.health().weight_norm, 1e-3);
    const double zeta_error = ((1 + trusted) * direction + rate + drift + 4 * kEps) * (twin.path() - path);
    const double momentum = case_.config.momentum;
    momentum_error_[k] = momentum * momentum_error_[k] + zeta_error + 2 * kEps * norm(twin.momentum());
    weight_error_[k] += case_.config.nesterov ? momentum * momentum_error_[k] + zeta_error : momentum_error_[k];
    weight_error_[k] += 2 * kEps * norm(twin.weights());
  }
  ++step_;
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

twin::Matrix Training::factor(int l, int field) const {
  const std::int64_t d = reference(l).columns(), all = reference(l).groups() * d;
  if (case_.layers[static_cast<std::size_t>(l)].kind != LNGD_LAYER_EMBEDDING) return optimizer_->read(l, field, all, d);
  const twin::Matrix diagonal = optimizer_->read(l, field, d, 1);
  twin::Matrix full(d, d);
  for (std::int64_t i = 0; i < d; ++i) full(i, i) = diagonal(i, 0);
  return full;
}

void Training::compare_layer(int l) const {
  const twin::Layer& twin = reference(l);
  const lngd_health ours = optimizer_->health(l), want = twin.health();
  CHECK_EQ(ours.steps, want.steps);
  CHECK_EQ(ours.statistics_updates, want.statistics_updates);
  CHECK_EQ(ours.inverse_updates, want.inverse_updates);
  CHECK_EQ(ours.skipped_statistics, want.skipped_statistics);
  CHECK_EQ(ours.skipped_steps, want.skipped_steps);
  CHECK_EQ(ours.last_step_skipped, want.last_step_skipped);
  CHECK_EQ(ours.retries, 0);
  CHECK_EQ(ours.failed_inverses, 0);
  CHECK_EQ(ours.last_failed_block, -1);
  CHECK_EQ(ours.last_failed_pivot, -1);

  const std::int64_t m = twin.rows(), d = twin.columns(), all = twin.groups() * d;
  const double statistics = sum_error(twin.rows_used());
  CHECK_NEAR(ours.lambda_phi_min, want.lambda_phi_min, statistics * want.lambda_phi_min);
  CHECK_NEAR(ours.lambda_phi_max, want.lambda_phi_max, statistics * want.lambda_phi_max);
  CHECK_NEAR(ours.lambda_psi, want.lambda_psi, statistics * want.lambda_psi);

  const double relative = direction_error(twin), rate = relative * twin.rate_amplification();
  const double weight_error = weight_error_[static_cast<std::size_t>(l)];
  CHECK_NEAR(ours.inner_product, want.inner_product, relative * std::fabs(want.inner_product));
  CHECK_NEAR(ours.direction_norm, want.direction_norm, relative * want.direction_norm);
  CHECK_NEAR(ours.curvature, want.curvature, rate * want.curvature);
  CHECK_NEAR(ours.alpha, want.alpha, (relative + rate) * want.alpha);
  CHECK_NEAR(ours.weight_norm, want.weight_norm, weight_error + 2 * kEps * want.weight_norm);
  CHECK_NEAR(ours.trust_scale, want.trust_scale,
             (2 * rate + weight_error / std::max(want.weight_norm, 1e-3) + 4 * kEps) * want.trust_scale);

  // |sum r a_i a_j| is bounded through Cauchy-Schwarz by the diagonal.
  const twin::Matrix phi = factor(l, LNGD_FIELD_PHI);
  double phi_error = 0;
  for (std::int64_t i = 0; i < all; ++i)
    for (std::int64_t j = 0; j < d; ++j) {
      const std::int64_t top = i / d * d; // of the group
      const double scale = std::sqrt(twin.phi()(i, i % d) * twin.phi()(top + j, j));
      const double error = std::fabs(phi(i, j) - twin.phi()(i, j));
      phi_error = std::max(phi_error, scale > 0 ? error / scale : error > 0 ? HUGE_VAL : 0);
      if (phi(i, j) != phi(top + j, i % d)) fail(__FILE__, __LINE__, "Phi is not symmetric");
    }
  CHECK_WITHIN(phi_error, statistics);
  if (twin.second_matrix())
    compare_second(l);
  else
    compare_psi(l);
  const twin::Matrix phi_inverse = factor(l, LNGD_FIELD_PHI_INVERSE);
  CHECK_WITHIN(distance(phi_inverse, twin.phi_inverse()), relative * norm(twin.phi_inverse()));
  CHECK_WITHIN(distance(optimizer_->read(l, LNGD_FIELD_DIRECTION, m, d), twin.direction()),
               relative * norm(twin.direction()));
  CHECK_WITHIN(distance(weights(l), twin.weights()), weight_error);
  CHECK_WITHIN(distance(optimizer_->read(l, LNGD_FIELD_MOMENTUM, m, d), twin.momentum()),
               momentum_error_[static_cast<std::size_t>(l)]);
  if (case_.config.averaging)
    CHECK_WITHIN(distance(optimizer_->read(l, LNGD_FIELD_AVERAGE, m, d), twin.average()), weight_error);

  const Tensors& tensors = tensors_[static_cast<std::size_t>(l)];
  CHECK(tensors.weights->guards_intact() && tensors.bias->guards_intact() &&
        tensors.weight_gradients->guards_intact() && tensors.bias_gradients->guards_intact());
}

void Training::compare_psi(int l) const {
  const twin::Layer& twin = reference(l);
  const double statistics = sum_error(twin.rows_used());
  const twin::Matrix psi = optimizer_->read(l, LNGD_FIELD_PSI, twin.rows(), 1);
  const twin::Matrix psi_inverse = optimizer_->read(l, LNGD_FIELD_PSI_INVERSE, twin.rows(), 1);
  for (std::int64_t i = 0; i < twin.rows(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    CHECK_NEAR(psi(i, 0), twin.psi()[k], statistics * twin.psi()[k]);
    CHECK_NEAR(psi_inverse(i, 0), twin.psi_inverse()[k], statistics * twin.psi_inverse()[k]);
  }
}

// As Phi: |sum g_i g_j| is bounded by the diagonal.
void Training::compare_second(int l) const {
  const twin::Layer& twin = reference(l);
  const std::int64_t m = twin.rows(), size = m / twin.groups();
  const twin::Matrix second = optimizer_->read(l, LNGD_FIELD_PSI, m, size);
  double error = 0;
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < size; ++j) {
      const double scale = std::sqrt(twin.second()(i, i % size) * twin.second()(i / size * size + j, j));
      error = std::max(error, std::fabs(second(i, j) - twin.second()(i, j)) / scale);
    }
  CHECK_WITHIN(error, sum_error(twin.rows_used()));
  CHECK_WITHIN(distance(optimizer_->read(l, LNGD_FIELD_PSI_INVERSE, m, size), twin.second_inverse()),
               direction_error(twin) * norm(twin.second_inverse()));
}

void Training::compare() const {
  for (int l = 0; l < count(); ++l) {
    const Scope scope("layer " + std::to_string(l) + " after step " + std::to_string(step_ - 1));
    compare_layer(l);
  }
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

std::vector<std::uint8_t> run_case(const Case& what) {
  const Scope scope("case " + what.name);
  Training training(what);
  training.run();
  return training.bits();
}

} // namespace conformance
