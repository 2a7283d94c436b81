// SPDX-License-Identifier: Apache-2.0
//
// Parameters outside of any layer: every step against the twin, in all layouts, both methods and both ways to hand out
// the update; what is skipped; and that the layers beside them do not notice.
#include <cmath>
#include <limits>
#include <string>

#include "parameters.hpp"
#include "reference_parameter.hpp"

using namespace conformance;

namespace {

lngd_config config_of(bool averaging) {
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.averaging = averaging ? 1 : 0;
  config.statistics_interval = config.inverse_interval = 2;
  return config;
}

std::vector<double> elements(const Tensor& tensor) {
  return tensor.values().values;
} // row-major, as the tensor's order

double largest(const std::vector<float>& got, const std::vector<double>& wanted) {
  REQUIRE(got.size() == wanted.size());
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::fabs(got[i] - wanted[i]));
  return worst;
}

double norm(const std::vector<double>& values) {
  double square = 0;
  for (const double x : values) square += x * x;
  return std::sqrt(square);
}

// Numbers are below 5 (normal, a few hundred of them), and every operation rounds by kEps of its result.
//   M and V are convex combinations: three roundings a step.
//   D: the error of M over sqrt(V); sqrt(V) is at least max |g| / sqrt(t), and |D| at most sqrt(t): 16 kEps sqrt(t).
void compare(ParameterNetwork& network, const twin::Parameter& twin, bool averaging, double largest_gradient) {
  const double t = twin.moves, rate = twin.layer.learning_rate;
  const bool adamw = twin.layer.method == LNGD_PARAMETER_ADAMW;
  const double direction = adamw ? 16 * kEps * std::sqrt(t) : 0;
  const double gradients = adamw ? largest_gradient : rate * largest_gradient / (1 - twin.layer.momentum);
  const double step = adamw ? rate * direction : 8 * t * kEps * gradients, bound = t * (step + 4 * kEps * 5);
  const std::vector<double> w = elements(network.weights(0));
  CHECK_WITHIN(largest({w.begin(), w.end()}, twin.weights), bound);
  CHECK_WITHIN(largest(network.optimizer().read(0, LNGD_FIELD_MOMENTUM), twin.momentum), 4 * t * kEps * gradients);
  if (adamw)
    CHECK_WITHIN(largest(network.optimizer().read(0, LNGD_FIELD_SECOND_MOMENT), twin.second),
                 4 * t * kEps * gradients * gradients);
  if (averaging)
    CHECK_WITHIN(largest(network.optimizer().read(0, LNGD_FIELD_AVERAGE), twin.average), bound + 4 * t * kEps * 5);
  const lngd_health health = network.optimizer().health(0);
  CHECK_EQ(health.steps, twin.moves);
  CHECK_EQ(health.last_step_skipped, 0);
  const double root = std::sqrt(static_cast<double>(w.size()));
  CHECK_NEAR(health.direction_norm, twin.direction_norm, root * (direction + 1e-12)); // 1e-12: the sum itself
  CHECK_NEAR(health.inner_product, twin.inner_product, root * root * (direction * largest_gradient + 1e-12));
  CHECK_NEAR(health.weight_norm, twin.weight_norm, root * bound);
  CHECK_EQ(health.alpha, 1.0);
  CHECK_EQ(health.trust_scale, 1.0);
}

void run(const lngd_layer_config& layer, bool averaging, const ParameterNetwork::Options& options, int steps) {
  const lngd_config config = config_of(averaging);
  ParameterNetwork network(config, {layer}, options);
  twin::Parameter twin(config, layer, elements(network.weights(0)));
  double largest_gradient = 0;
  for (int t = 0; t < steps; ++t) {
    network.prepare(t);
    const std::vector<double> gradient = elements(network.gradients(0));
    for (const double g : gradient) largest_gradient = std::max(largest_gradient, std::fabs(g));
    const double factor = 1 - 0.1 * t;
    REQUIRE_OK(lngd_step(network.plan(), factor, nullptr));
    if (options.update == LNGD_UPDATE_WEIGHTS && !options.on_device)
      CHECK(elements(network.gradients(0)) == gradient); // only read
    network.finish();
    twin.step(factor, gradient);
    compare(network, twin, averaging, largest_gradient);
  }
  CHECK_GT(norm(twin.momentum), 0.0);
}

constexpr int kMethods[] = {LNGD_PARAMETER_ADAMW, LNGD_PARAMETER_NESTEROV};

} // namespace

TEST(parameter_steps_in_every_layout) {
  int number = 0;
  for (const int method : kMethods)
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
      for (const Layout weights : kLayouts)
        for (const Layout gradients : kLayouts) {
          if (!takes(number++, 5)) continue;
          const Scope scope("method " + std::to_string(method) + ", update " + std::to_string(update) + ", " +
                            layout_name(weights) + ", " + layout_name(gradients));
          ParameterNetwork::Options options;
          options.update = update;
          options.weights = weights;
          options.gradients = gradients;
          options.rows = 7;
          run(parameter(7 * 9, method), number % 2 == 0, options, 4);
          if (number % 3 != 0) continue;
          options.rows = 1; // a vector
          run(parameter(37, method), number % 2 == 1, options, 2);
        }
}

TEST(parameter_steps_on_the_device) {
  for (const int method : kMethods)
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
      for (const Layout layout : {Layout::Compact, Layout::Transposed, Layout::PaddedRows, Layout::Spread}) {
        const Scope scope("method " + std::to_string(method) + ", update " + std::to_string(update) + ", " +
                          layout_name(layout));
        ParameterNetwork::Options options;
        options.update = update;
        options.weights = layout;
        options.gradients = layout == Layout::Compact ? Layout::Compact : Layout::PaddedRows;
        options.on_device = true;
        options.rows = 8;
        run(parameter(8 * 12, method), update == LNGD_UPDATE_WEIGHTS, options, 3);
      }
}

// Several tasks, the last of them short, and all settings but the defaults.
TEST(parameter_steps_of_many_elements) {
  lngd_layer_config layer = parameter(40003);
  layer.learning_rate = 0.02;
  layer.beta1 = 0.5;
  layer.beta2 = 0.7;
  layer.epsilon = 0.01;
  run(layer, true, {}, 3);
  layer = parameter(40003, LNGD_PARAMETER_NESTEROV);
  layer.momentum = 0.3;
  layer.weight_decay = 0;
  run(layer, true, {}, 3);
  run(parameter(1), true, {}, 3);
}

TEST(parameter_threads_change_no_bit) {
  std::vector<std::uint8_t> alone;
  for (const int threads : {1, 3}) {
    lngd_config config = config_of(true);
    config.threads = threads;
    ParameterNetwork network(config, {parameter(100003), parameter(11, LNGD_PARAMETER_NESTEROV)}, {});
    for (int t = 0; t < 2; ++t) network.step(t);
    if (threads == 1) alone = network.bits();
    CHECK(network.bits() == alone);
  }
}

// The depth slope counts layers, the output rules ask whether there are others, and numbers of SAMPLED are keyed by the
// index in the list, which is why the first layer leads here.
TEST(parameter_leaves_the_layers_alone) {
  for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED}) {
    lngd_config config = config_of(true);
    config.fisher = fisher;
    config.trust_depth_slope = 1.7;
    config.output_bound = 1;
    config.output_decay = 3;
    const lngd_layer_config first = dense(5, 4, false, LNGD_ACTIVATION_TANH),
                            middle = dense(4, 6, false, LNGD_ACTIVATION_TANH),
                            last = dense(6, 3, false, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX);
    const std::vector<lngd_layer_config> plain = {first, middle, last},
                                         with =
                                             fisher == LNGD_FISHER_SAMPLED
                                                 ? std::vector<lngd_layer_config>{first, middle, last, parameter(7),
                                                                                  parameter(8, LNGD_PARAMETER_NESTEROV)}
                                                 : std::vector<lngd_layer_config>{
                                                       parameter(7), first, parameter(8, LNGD_PARAMETER_NESTEROV),
                                                       middle,       last,  parameter(9)};
    ParameterNetwork without(config, plain, {}), beside(config, with, {});
    for (int t = 0; t < 5; ++t) {
      without.step(t, 1 - 0.1 * t);
      beside.step(t, 1 - 0.1 * t);
    }
    std::size_t layer = 0;
    for (std::size_t l = 0; l < with.size(); ++l)
      if (with[l].kind != LNGD_LAYER_PARAMETER) CHECK(beside.bits(l) == without.bits(layer++));
    CHECK_EQ(layer, plain.size());
  }
  // A layer whose only company are parameters is the only one: none of the output rules.
  lngd_config config = config_of(true);
  config.output_decay = 50;
  const lngd_layer_config only = dense(5, 3, false, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX);
  ParameterNetwork without(config, {only}, {}), beside(config, {parameter(4), only}, {});
  for (int t = 0; t < 4; ++t) without.step(t), beside.step(t);
  CHECK(beside.bits(1) == without.bits(0));
}

// In every approximation, whose kernels differ.
TEST(parameter_beside_other_approximations) {
  const auto bits_of = [](const lngd_config& config, std::vector<lngd_layer_config> layers) {
    ParameterNetwork network(config, layers, {});
    for (int t = 0; t < 3; ++t) {
      for (std::size_t l = 0; l < layers.size(); ++l) {
        if (layers[l].kind == LNGD_LAYER_PARAMETER) continue;
        Random random(static_cast<std::uint64_t>(t));
        Tensor inputs(6, layers[l].inputs), signal(6, layers[l].outputs);
        inputs.fill(random_matrix(6, layers[l].inputs, &random));
        signal.fill(random_matrix(6, layers[l].outputs, &random));
        REQUIRE_OK(lngd_observe(network.optimizer().handle(), static_cast<int>(l), inputs.pointer(), signal.pointer(),
                                LNGD_SIGNAL_GRADIENTS));
      }
      for (std::size_t l = 0; l < layers.size(); ++l) {
        Random random(static_cast<std::uint64_t>(t + layers[l].inputs));
        network.gradients(l).fill(random_matrix(network.gradients(l).rows(), network.gradients(l).cols(), &random));
      }
      REQUIRE_OK(lngd_step(network.plan(), 1, nullptr));
    }
    return network.bits(layers.size() - 1);
  };
  std::vector<lngd_layer_config> dense_only = {dense(5, 4, false)}, parameters = {parameter(13)};
  for (const int which :
       {LNGD_PRESET_KFAC, LNGD_PRESET_TKFAC, LNGD_PRESET_EKFAC, LNGD_PRESET_NGPLUS, LNGD_PRESET_BLOCK_KRONECKER}) {
    for (const int orthogonalise : {0, 1}) {
      if (orthogonalise && which != LNGD_PRESET_BLOCK_KRONECKER) continue;
      if (which == LNGD_PRESET_EKFAC && device() != LNGD_DEVICE_CPU) continue;
      const Scope scope("preset " + std::to_string(which) + ", orthogonalise " + std::to_string(orthogonalise));
      lngd_config config = preset(which, 50);
      config.averaging = 1;
      config.orthogonalise = orthogonalise;
      config.statistics_interval = config.inverse_interval = 1;
      CHECK(bits_of(config, {dense_only[0], parameters[0]}) == bits_of(config, parameters));
      CHECK(bits_of(config, {parameters[0], dense_only[0]}) == bits_of(config, dense_only));
    }
  }
}

// A gradient that is not finite, or too long, skips that parameter and nothing else; it moves on afterwards.
TEST(parameter_skips_what_is_not_sound) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const int method : kMethods)
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
      for (const double bad : {std::nan(""), inf, -inf, 2e16}) {
        const Scope scope("method " + std::to_string(method) + ", gradient " + show(bad));
        ParameterNetwork::Options options;
        options.update = update;
        ParameterNetwork network(config_of(true), {parameter(9000, method), parameter(5, method), dense(4, 3, false)},
                                 options);
        network.step(0);
        const std::vector<double> before = elements(network.weights(0)), other = elements(network.weights(1)),
                                  layer = elements(network.weights(2));
        const std::vector<float> momentum = network.optimizer().read(0, LNGD_FIELD_MOMENTUM),
                                 average = network.optimizer().read(0, LNGD_FIELD_AVERAGE);
        network.prepare(1);
        network.gradients(0).set(8999, 0, bad);
        REQUIRE_OK(lngd_step(network.plan(), 1, nullptr));
        if (update == LNGD_UPDATE_GRADIENTS) CHECK(elements(network.gradients(0)) == std::vector<double>(9000, 0.0));
        network.finish();
        CHECK(elements(network.weights(0)) == before);
        CHECK(network.optimizer().read(0, LNGD_FIELD_MOMENTUM) == momentum);
        CHECK(network.optimizer().read(0, LNGD_FIELD_AVERAGE) == average);
        CHECK(elements(network.weights(1)) != other);
        CHECK(elements(network.weights(2)) != layer);
        lngd_health health = network.optimizer().health(0);
        CHECK_EQ(health.last_step_skipped, 1);
        CHECK_EQ(health.skipped_steps, 1);
        CHECK_EQ(health.steps, 2);
        CHECK_EQ(network.optimizer().health(1).skipped_steps, 0);
        network.step(2);
        health = network.optimizer().health(0);
        CHECK_EQ(health.last_step_skipped, 0);
        CHECK_EQ(health.skipped_steps, 1);
        CHECK(elements(network.weights(0)) != before);
      }
}

TEST(parameter_never_becomes_infinite) {
  for (const int method : kMethods)
    for (const double factor : {1e30, 1e300, 1.7e308}) {
      lngd_layer_config layer = parameter(6, method);
      layer.weight_decay = 1e30;
      ParameterNetwork network(config_of(true), {layer}, {});
      for (int t = 0; t < 3; ++t) network.step(t, factor);
      for (const double w : elements(network.weights(0))) CHECK(std::isfinite(w));
      CHECK_EQ(network.optimizer().health(0).skipped_steps, 3);
    }
  // beta1 far above beta2: M remembers what V has forgotten.
  lngd_layer_config layer = parameter(1);
  layer.beta1 = 0.999, layer.beta2 = 0, layer.epsilon = 1e-16, layer.learning_rate = 1e6;
  ParameterNetwork network(config_of(true), {layer}, {});
  for (const double g : {9e15, 0.0, 0.0, 1e-30, 0.0}) {
    network.gradients(0).set(0, 0, g);
    REQUIRE_OK(lngd_step(network.plan(), 1e3, nullptr));
    CHECK(std::isfinite(network.weights(0).get(0)));
  }
  CHECK_EQ(network.optimizer().health(0).skipped_steps, 4);
}
