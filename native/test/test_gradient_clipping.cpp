// SPDX-License-Identifier: Apache-2.0
//
// gradient_clipping: runs beside twins whose gradients are clipped in double precision; against the same library with
// gradients that the caller has clipped; and what a norm that is not finite does.
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>

#include "parameters.hpp"
#include "reduction.hpp"
#include "reference_parameter.hpp"
#include "resident.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

double norm_of(lngd_plan* plan) {
  double norm = -1;
  REQUIRE_OK(lngd_gradient_norm(plan, &norm));
  return norm;
}

lngd_layer_config convolution() {
  const std::int32_t kernel[2] = {3, 2};
  lngd_layer_config layer;
  REQUIRE_OK(lngd_conv_init(2, 4, 6, kernel, &layer));
  layer.groups = 2;
  layer.activation = LNGD_ACTIVATION_TANH;
  return layer;
}

lngd_layer_config embedding() {
  lngd_layer_config layer;
  REQUIRE_OK(lngd_embedding_init(9, 5, &layer));
  return layer;
}

Case clipping_case(const std::string& name, int which) {
  Case c;
  c.name = name;
  c.config = preset(which, 40);
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 3;
  c.config.gradient_clipping = 0.8;
  if (which == LNGD_PRESET_PAPER) c.config.learning_rate = 0.01;
  c.layers = {dense(19, 11, true, LNGD_ACTIVATION_RELU), dense(11, 7, false, LNGD_ACTIVATION_TANH),
              dense(7, 5, true, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX)};
  c.batch = 12;
  c.steps = 4;
  return c;
}

void run_clipped(const Case& what) {
  const Scope scope("case " + what.name);
  Training training(what);
  training.run();
  CHECK_GT(training.clipped(), 0);
}

// One that no ordinary gradient reaches.
constexpr double kOut = 1e20;

// Gradients as a caller would clip them: float32, with the factor rounded to it.
void clip_by_hand(ParameterNetwork& network, std::size_t layers, double norm, double largest) {
  const auto factor = static_cast<float>(std::min(1.0, largest / (norm + 1e-6)));
  for (std::size_t l = 0; l < layers; ++l) {
    Tensor& g = network.gradients(l);
    for (std::int64_t i = 0; i < g.rows(); ++i)
      for (std::int64_t j = 0; j < g.cols(); ++j) g.set(i, j, factor * g.get(i, j));
    network.upload_gradients(l);
  }
}

std::vector<lngd_layer_config> mixed_layers() {
  return {dense(13, 6, false, LNGD_ACTIVATION_TANH), parameter(35), dense(6, 9, false, LNGD_ACTIVATION_TANH),
          parameter(21, LNGD_PARAMETER_NESTEROV)};
}

} // namespace

TEST(clipping_beside_the_twin) {
  for (const int which :
       {LNGD_PRESET_RECIPE, LNGD_PRESET_RECIPE_EMPIRICAL, LNGD_PRESET_PAPER, LNGD_PRESET_KFAC, LNGD_PRESET_TKFAC,
        LNGD_PRESET_NGPLUS, LNGD_PRESET_BLOCK_KRONECKER, LNGD_PRESET_BLOCK_KRONECKER_FIT})
    run_clipped(clipping_case("preset " + std::to_string(which), which));
}

TEST(clipping_with_other_options) {
  const auto vary = [](const std::string& name, int which, const std::function<void(Case&)>& change) {
    Case c = clipping_case(name, which);
    change(c);
    run_clipped(c);
  };
  for (const int which : {LNGD_PRESET_RECIPE_EMPIRICAL, LNGD_PRESET_KFAC, LNGD_PRESET_BLOCK_KRONECKER})
    vary("coupled decay, preset " + std::to_string(which), which, [](Case& c) {
      c.config.decay = LNGD_DECAY_COUPLED;
      c.config.weight_decay = 0.3;
    });
  vary("soft trust", LNGD_PRESET_RECIPE, [](Case& c) { c.config.soft_trust = 1; });
  vary("some steps", LNGD_PRESET_PAPER, [](Case& c) {
    c.config.gradient_clipping = 4.4; // between the norms of the steps
    c.steps = 6;
  });
  for (const int which : {LNGD_PRESET_RECIPE, LNGD_PRESET_TKFAC})
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
      vary("all kinds in all layouts, preset " + std::to_string(which), which, [which, update](Case& c) {
        c.config.trust = LNGD_TRUST_OFF;
        c.config.decay = LNGD_DECAY_COUPLED;
        c.config.weight_decay = update == LNGD_UPDATE_WEIGHTS ? 0.2 : 0.0;
        c.config.learning_rate = 0.01;
        c.update = update;
        c.all_layouts = true;
        c.layers.push_back(convolution());
        c.layers.push_back(embedding());
        if (device() == LNGD_DEVICE_CPU || which != LNGD_PRESET_TKFAC) return;
        c.on_device = kAllOnDevice;
        c.all_layouts = false; // of which one is at no multiple of 4 bytes
        c.layout = update == LNGD_UPDATE_WEIGHTS ? Layout::Transposed : Layout::Spread;
      });
}

TEST(clipping_steps_in_all_layouts_of_gradients) {
  for (const Layout layout : kLayouts)
    for (const bool bias : {false, true}) {
      Case c = clipping_case(layout_name(layout), LNGD_PRESET_RECIPE);
      c.config.trust = LNGD_TRUST_OFF;
      c.config.learning_rate = 0.01;
      c.layout = layout;
      for (lngd_layer_config& layer : c.layers) layer.bias = bias ? 1 : 0;
      c.layers.push_back(dense(130, 3, bias, LNGD_ACTIVATION_TANH)); // two blocks, the second of a few columns
      c.steps = 2;
      run_clipped(c);
    }
}

// The norm is of everything in the plan: parameters are clipped by what layers have, and the other way round.
TEST(clipping_of_parameters_beside_the_twin) {
  for (const bool on_device : {false, true}) {
    if (on_device && device() == LNGD_DEVICE_CPU) continue;
    lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
    config.gradient_clipping = 2;
    const std::vector<lngd_layer_config> layers = mixed_layers();
    ParameterNetwork::Options options;
    options.on_device = on_device;
    options.rows = 7;
    options.gradients = on_device ? Layout::Transposed : Layout::PaddedRows;
    ParameterNetwork network(config, layers, options);
    std::vector<twin::Parameter> twins;
    for (const std::size_t l : {1, 3}) twins.emplace_back(config, layers[l], network.weights(l).values().values);
    for (int t = 0; t < 4; ++t) {
      network.prepare(t);
      double square = 0;
      for (std::size_t l = 0; l < layers.size(); ++l)
        for (const double g : network.gradients(l).values().values) square += g * g;
      const double factor = 2 / (std::sqrt(square) + 1e-6);
      CHECK_LE(factor, 0.5);
      REQUIRE_OK(lngd_step(network.plan(), 1, nullptr));
      CHECK_NEAR(norm_of(network.plan()), std::sqrt(square), 1e-14 * std::sqrt(square));
      for (std::size_t k = 0; k < twins.size(); ++k) {
        const std::size_t l = 1 + 2 * k;
        std::vector<double> gradient = network.gradients(l).values().values;
        for (double& g : gradient) g *= factor;
        twins[k].step(1, gradient);
      }
      network.finish();
      for (std::size_t k = 0; k < twins.size(); ++k) {
        const std::size_t l = 1 + 2 * k;
        const std::vector<double> w = network.weights(l).values().values;
        const std::vector<float> momentum = network.optimizer().read(static_cast<int>(l), LNGD_FIELD_MOMENTUM);
        for (std::size_t i = 0; i < w.size(); ++i) {
          CHECK_WITHIN(std::fabs(w[i] - twins[k].weights[i]), (t + 1) * (16 * std::sqrt(t + 1.0) + 20) * kEps);
          CHECK_WITHIN(std::fabs(momentum[i] - twins[k].momentum[i]), 8 * (t + 1) * kEps);
        }
      }
    }
  }
}

// What the library scales as it reads has the bits of what the caller scales before.
TEST(clipping_is_that_of_the_caller) {
  for (const int which : {LNGD_PRESET_RECIPE, LNGD_PRESET_PAPER, LNGD_PRESET_KFAC, LNGD_PRESET_EKFAC,
                          LNGD_PRESET_BLOCK_KRONECKER, LNGD_PRESET_BLOCK_KRONECKER_FIT})
    for (const int decay : {LNGD_DECAY_DECOUPLED, LNGD_DECAY_COUPLED})
      for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
        for (const bool on_device : {false, true}) {
          if (on_device && device() == LNGD_DEVICE_CPU) continue;
          if (which == LNGD_PRESET_EKFAC && device() != LNGD_DEVICE_CPU) continue;
          const Scope scope("preset " + std::to_string(which) + ", decay " + std::to_string(decay) + ", update " +
                            std::to_string(update));
          lngd_config config = preset(which, 20);
          if (which == LNGD_PRESET_PAPER) config.rate = LNGD_RATE_KRONECKER;
          const bool kronecker = which == LNGD_PRESET_BLOCK_KRONECKER || which == LNGD_PRESET_BLOCK_KRONECKER_FIT;
          config.orthogonalise = kronecker ? 1 : 0; // the second of them with Nesterov momentum
          if (!kronecker) {
            config.trust = LNGD_TRUST_OFF;
            config.learning_rate = 0.01;
          }
          config.decay = decay;
          config.weight_decay = 0.1;
          config.averaging = 1;
          const std::vector<lngd_layer_config> layers = mixed_layers();
          ParameterNetwork::Options options;
          options.update = update;
          options.rows = 7;
          options.on_device = on_device;
          // With compact gradients the CPU would multiply them where they lie, and packed ones otherwise.
          options.gradients = Layout::Transposed;
          ParameterNetwork by_hand(config, layers, options);
          config.gradient_clipping = 3;
          ParameterNetwork clipped(config, layers, options);
          for (int t = 0; t < 3; ++t) {
            clipped.step(t);
            by_hand.prepare(t);
            clip_by_hand(by_hand, layers.size(), norm_of(clipped.plan()), 3);
            REQUIRE_OK(lngd_step(by_hand.plan(), 1, nullptr));
            by_hand.finish();
            CHECK(clipped.bits() == by_hand.bits());
          }
        }
}

// A limit that is never reached changes no bit, in any kind of step; and none is the default.
TEST(clipping_out_of_reach_changes_no_bit) {
  CHECK_EQ(preset(LNGD_PRESET_RECIPE).gradient_clipping, 0.0);
  for (const int which : {LNGD_PRESET_RECIPE, LNGD_PRESET_PAPER, LNGD_PRESET_KFAC, LNGD_PRESET_BLOCK_KRONECKER})
    for (const int orthogonalise : {0, 1})
      for (const int decay : {LNGD_DECAY_DECOUPLED, LNGD_DECAY_COUPLED}) {
        if (orthogonalise && which != LNGD_PRESET_BLOCK_KRONECKER) continue;
        Case c = clipping_case("preset " + std::to_string(which), which);
        c.config.orthogonalise = orthogonalise;
        c.config.decay = decay;
        c.config.weight_decay = 0.1;
        c.layers.push_back(embedding());
        c.steps = 3;
        c.config.gradient_clipping = 0;
        const std::vector<std::uint8_t> off = bits_of_case(c);
        c.config.gradient_clipping = kOut;
        CHECK(bits_of_case(c) == off);
        c.config.gradient_clipping = 0.5;
        CHECK(bits_of_case(c) != off);
      }
}

TEST(clipping_keeps_a_norm_that_is_not_finite_out) {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    for (std::size_t where = 0; where < 4; ++where)
      for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS}) {
        lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
        config.gradient_clipping = 2;
        const std::vector<lngd_layer_config> layers = mixed_layers();
        ParameterNetwork::Options options;
        options.update = update;
        ParameterNetwork network(config, layers, options);
        network.step(0);
        network.prepare(1);
        Tensor& g = network.gradients(where);
        g.set(g.rows() - 1, g.cols() - 1, bad);
        std::vector<twin::Matrix> before;
        std::vector<std::vector<float>> momentum;
        for (std::size_t l = 0; l < layers.size(); ++l) {
          before.push_back(network.weights(l).values());
          momentum.push_back(network.optimizer().read(static_cast<int>(l), LNGD_FIELD_MOMENTUM));
        }
        CHECK_OK(lngd_step(network.plan(), 1, nullptr));
        CHECK(!std::isfinite(norm_of(network.plan())));
        network.finish();
        for (std::size_t l = 0; l < layers.size(); ++l) {
          CHECK_EQ(largest_difference(network.weights(l).values(), before[l]), 0.0);
          CHECK(network.optimizer().read(static_cast<int>(l), LNGD_FIELD_MOMENTUM) == momentum[l]);
          CHECK_EQ(network.optimizer().health(static_cast<int>(l)).skipped_steps, 1);
          CHECK_EQ(network.optimizer().health(static_cast<int>(l)).last_step_skipped, 1);
        }
        network.step(2); // and everything goes on
        for (std::size_t l = 0; l < layers.size(); ++l) {
          CHECK_GT(largest_difference(network.weights(l).values(), before[l]), 0.0);
          CHECK_EQ(network.optimizer().health(static_cast<int>(l)).last_step_skipped, 0);
        }
      }
}

TEST(clipping_of_huge_and_tiny_gradients) {
  for (const double size : {3e30, 1e-30}) { // squares of floats of either would leave float's range
    lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
    config.gradient_clipping = size == 3e30 ? 1.0 : 1e-32;
    ParameterNetwork network(config, {dense(5, 3, false)}, {});
    network.step(0);
    network.prepare(1);
    double square = 0;
    for (std::int64_t i = 0; i < 3; ++i)
      for (std::int64_t j = 0; j < 5; ++j) {
        network.gradients(0).set(i, j, size * (static_cast<double>(i * 5 + j) - 6.5));
        square += std::pow(network.gradients(0).get(i, j), 2);
      }
    CHECK_OK(lngd_step(network.plan(), 1, nullptr));
    CHECK_NEAR(norm_of(network.plan()), std::sqrt(square), 1e-14 * std::sqrt(square));
    CHECK_EQ(network.optimizer().health(0).skipped_steps, 0);
    network.finish();
  }
}

TEST(clipping_is_the_same_for_any_number_of_threads) {
  if (device() != LNGD_DEVICE_CPU) skip("threads are the CPU's");
  double first = 0;
  for (const int threads : {1, 2, 3, 5, 5}) {
    lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
    config.gradient_clipping = 1;
    config.threads = threads;
    ParameterNetwork network(config, {dense(700, 300, false), parameter(123457), dense(1000, 77, false)}, {});
    network.prepare(0);
    REQUIRE_OK(lngd_step(network.plan(), 1, nullptr));
    const double norm = norm_of(network.plan());
    if (threads == 1) first = norm;
    CHECK_EQ(norm, first);
  }
}

TEST(clipping_in_a_graph) {
  const lngd::DeviceHooks& hooks = device_hooks();
  constexpr int kSteps = 6;
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.block_size = 8;
  config.statistics_interval = config.inverse_interval = 3;
  config.trust = LNGD_TRUST_OFF;
  config.learning_rate = 0.01;
  config.gradient_clipping = 0.7;
  for (const int order : {0, 1, 2}) {
    const Schedule schedule(order, 5);
    const Stream stream;
    std::vector<std::uint8_t> plain;
    double norm = 0;
    for (const bool graphed : {false, true}) {
      Resident resident(config, stream.handle(), kSteps);
      void* graph = nullptr;
      for (int t = 0; t < kSteps; ++t) {
        resident.observe(t);
        std::int32_t allowed = 0;
        if (graph) REQUIRE_OK(lngd_replay(resident.plan(), 1, &allowed));
        if (allowed) CHECK_EQ(hooks.graph_launch(graph, stream.handle()), 0);
        if (!allowed) REQUIRE_OK(resident.step(1));
        if (graphed && t == 0) {
          REQUIRE(hooks.capture_begin(stream.handle()) == 0);
          CHECK_OK(resident.step(1));
          double unseen = 0;
          CHECK_EQ(lngd_gradient_norm(resident.plan(), &unseen), LNGD_INVALID_STATE);
          graph = hooks.capture_end(stream.handle());
          REQUIRE(graph != nullptr);
        }
        if (allowed) CHECK_EQ(norm_of(resident.plan()), norm);
        norm = norm_of(resident.plan());
      }
      const std::vector<std::uint8_t> bits = resident.bits();
      if (graphed) CHECK(bits == plain);
      if (!graphed) plain = bits;
      if (graph) hooks.graph_destroy(graph);
    }
  }
}

// Two ranks that reduce their sums, with the gradients of the whole batch, clip as one.
TEST(clipping_of_ranks) {
  for (const Network& net : small_networks()) {
    const Scope scope(net.name);
    lngd_config config = net.config;
    config.gradient_clipping = 0.5;
    Rank one(config, net.layers), first(config, net.layers), second(config, net.layers);
    for (Rank* rank : {&first, &second}) REQUIRE_OK(lngd_set_reduction(rank->optimizer.handle(), 1));
    for (int t = 0; t < 2; ++t) {
      one.observe(t, 0, 12);
      first.observe(t, 0, 5);
      second.observe(t, 5, 12);
      reduce({&first, &second});
      for (Rank* rank : {&one, &first, &second}) {
        rank->fill_gradients(t);
        REQUIRE_OK(rank->step());
        CHECK_EQ(norm_of(rank->plan), norm_of(one.plan));
        CHECK_GT(norm_of(rank->plan), 0.5);
      }
      CHECK(first.optimizer.state() == second.optimizer.state());
      for (std::size_t i = 0; i < net.layers.size(); ++i)
        CHECK(first.tensors[i].weights->bytes() == second.tensors[i].weights->bytes());
    }
  }
}

TEST(clipping_misuse_and_state) {
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  const lngd_layer_config layer = dense(5, 3, false);
  for (const double bad : {-1e-9, 1e31, std::numeric_limits<double>::quiet_NaN()}) {
    config.gradient_clipping = bad;
    lngd_optimizer* out = nullptr;
    CHECK_EQ(lngd_create(&config, &layer, 1, &out), LNGD_INVALID_ARGUMENT);
    CHECK(std::string(lngd_last_error()).find("gradient_clipping is ") == 0);
  }
  double norm = 7;
  config.gradient_clipping = 0;
  ParameterNetwork off(config, {layer}, {});
  off.step(0);
  CHECK_EQ(lngd_gradient_norm(off.plan(), &norm), LNGD_INVALID_STATE);
  config.gradient_clipping = 1.5;
  ParameterNetwork on(config, {layer}, {});
  CHECK_EQ(lngd_gradient_norm(on.plan(), &norm), LNGD_INVALID_STATE);
  on.step(0);
  CHECK_EQ(lngd_gradient_norm(on.plan(), nullptr), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_gradient_norm(nullptr, &norm), LNGD_INVALID_HANDLE);
  CHECK_EQ(norm, 7.0);
  lngd_config now{};
  now.struct_size = sizeof now;
  REQUIRE_OK(lngd_get_config(on.optimizer().handle(), &now));
  CHECK_EQ(now.gradient_clipping, 1.5);
  // It is part of the hash.
  const std::vector<std::uint8_t> state = on.optimizer().state();
  CHECK_EQ(lngd_state_restore(off.optimizer().handle(), state.data(), static_cast<std::int64_t>(state.size())),
           LNGD_BAD_STATE_DATA);
  config.gradient_clipping = 1.25;
  ParameterNetwork other(config, {layer}, {});
  CHECK_EQ(lngd_state_restore(other.optimizer().handle(), state.data(), static_cast<std::int64_t>(state.size())),
           LNGD_BAD_STATE_DATA);
}
