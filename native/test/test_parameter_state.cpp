// SPDX-License-Identifier: Apache-2.0
//
// Parameters in everything that goes round a step: averages, states, new addresses, refresh and discard, streams and
// graphs, memory; and networks of nothing else.
#include <cstring>
#include <string>

#include "parameters.hpp"

using namespace conformance;

namespace {

// The hash of two layers (parameter_state_of_another_configuration) as the library wrote it before it knew parameters.
constexpr std::uint64_t kOfBefore = 0x859bf838211be85eull;

lngd_config config_of() {
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.statistics_interval = config.inverse_interval = 3;
  return config;
}

const std::vector<lngd_layer_config>& network() {
  static const std::vector<lngd_layer_config> layers = {
      parameter(40), dense(5, 4, false, LNGD_ACTIVATION_TANH), parameter(21, LNGD_PARAMETER_NESTEROV),
      dense(4, 3, false, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX)};
  return layers;
}

const std::vector<lngd_layer_config>& only_parameters() {
  static const std::vector<lngd_layer_config> layers = {parameter(40), parameter(21, LNGD_PARAMETER_NESTEROV)};
  return layers;
}

std::uint64_t hash_of(const std::vector<lngd_layer_config>& layers) {
  const Optimizer optimizer(config_of(), layers);
  std::uint64_t hash = 0;
  std::memcpy(&hash, optimizer.state().data() + 16, sizeof hash); // behind magic, version and layers
  return hash;
}

} // namespace

TEST(parameter_averages_swap_to_the_same_bits) {
  for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
    for (const Layout layout : {Layout::Compact, Layout::PaddedRows, Layout::Transposed}) {
      ParameterNetwork::Options options;
      options.update = update;
      options.weights = layout;
      options.rows = 4; // of 40; the other one is a vector
      ParameterNetwork training(config_of(), network(), options);
      std::int32_t swapped = -1;
      REQUIRE_OK(lngd_swap_averages(training.plan(), &swapped));
      CHECK_EQ(swapped, 0); // nothing has moved
      for (int t = 0; t < 3; ++t) training.step(t);
      const std::vector<std::uint8_t> before = training.bits();
      for (const std::size_t l : {std::size_t{0}, std::size_t{2}}) {
        const std::vector<double> weights = training.weights(l).values().values;
        const std::vector<float> average = training.optimizer().read(static_cast<int>(l), LNGD_FIELD_AVERAGE);
        REQUIRE_OK(lngd_swap_averages(training.plan(), &swapped));
        CHECK_EQ(swapped, 1);
        const std::vector<double> there = training.weights(l).values().values;
        CHECK(std::vector<float>(there.begin(), there.end()) == average);
        CHECK(there != weights);
        CHECK(training.weights(l).guards_intact());
        const std::vector<float> kept = training.optimizer().read(static_cast<int>(l), LNGD_FIELD_AVERAGE);
        CHECK(std::vector<double>(kept.begin(), kept.end()) == weights);
        CHECK_EQ(lngd_step(training.plan(), 1, nullptr), LNGD_INVALID_STATE);
        REQUIRE_OK(lngd_swap_averages(training.plan(), &swapped));
        CHECK_EQ(swapped, 0);
      }
      CHECK(training.bits() == before);
    }
}

TEST(parameter_state_goes_on_with_the_same_bits) {
  for (const auto& layers : {network(), only_parameters()}) {
    ParameterNetwork straight(config_of(), layers, {}), second(config_of(), layers, {});
    for (int t = 0; t < 4; ++t) straight.step(t, 1 - 0.1 * t);
    const std::vector<std::uint8_t> state = straight.optimizer().state();
    for (std::size_t l = 0; l < layers.size(); ++l) second.weights(l).fill(straight.weights(l).values());
    REQUIRE_OK(lngd_state_restore(second.optimizer().handle(), state.data(), static_cast<std::int64_t>(state.size())));
    CHECK(second.optimizer().state() == state);
    REQUIRE_OK(lngd_discard(second.optimizer().handle(), LNGD_ALL_LAYERS));
    for (int t = 4; t < 7; ++t) straight.step(t, 1 - 0.1 * t), second.step(t, 1 - 0.1 * t);
    CHECK(second.bits() == straight.bits());
    // Without the counter of moves the bias corrections would start again.
    CHECK_EQ(second.optimizer().health(0).steps, 7);
  }
}

TEST(parameter_state_of_another_configuration) {
  const std::uint64_t hash = hash_of(network());
  const auto changed = [](auto change) {
    std::vector<lngd_layer_config> layers = network();
    change(layers[0]);
    return hash_of(layers);
  };
  CHECK_NE(changed([](lngd_layer_config& p) { p.method = LNGD_PARAMETER_NESTEROV; }), hash);
  CHECK_NE(changed([](lngd_layer_config& p) { p.learning_rate = 0.3; }), hash);
  CHECK_NE(changed([](lngd_layer_config& p) { p.weight_decay = 0.3; }), hash);
  CHECK_NE(changed([](lngd_layer_config& p) { p.beta1 = 0.3; }), hash);
  CHECK_NE(changed([](lngd_layer_config& p) { p.beta2 = 0.3; }), hash);
  CHECK_NE(changed([](lngd_layer_config& p) { p.epsilon = 0.3; }), hash);
  CHECK_NE(changed([](lngd_layer_config& p) { p.momentum = 0.3; }), hash);
  // Of a layer they are ignored, and the states of before there were parameters stay good.
  std::vector<lngd_layer_config> layers = {network()[1], network()[3]};
  CHECK_EQ(hash_of(layers), kOfBefore);
  layers[0].learning_rate = 7;
  CHECK_EQ(hash_of(layers), kOfBefore);
  Optimizer one(config_of(), network());
  const std::vector<std::uint8_t> state = one.state();
  std::vector<lngd_layer_config> other = network();
  other[0].learning_rate = 0.3;
  Optimizer two(config_of(), other);
  CHECK_EQ(lngd_state_restore(two.handle(), state.data(), static_cast<std::int64_t>(state.size())),
           LNGD_BAD_STATE_DATA);
}

TEST(parameter_fields_are_written_and_read) {
  ParameterNetwork one(config_of(), only_parameters(), {}), two(config_of(), only_parameters(), {});
  for (int t = 0; t < 3; ++t) one.step(t);
  for (const auto& [layer, field] : {std::pair<int, int>{0, LNGD_FIELD_MOMENTUM},
                                     {0, LNGD_FIELD_SECOND_MOMENT},
                                     {0, LNGD_FIELD_AVERAGE},
                                     {1, LNGD_FIELD_MOMENTUM},
                                     {1, LNGD_FIELD_AVERAGE}}) {
    const std::vector<float> values = one.optimizer().read(layer, field);
    CHECK_EQ(values.size(), layer == 0 ? 40u : 21u);
    REQUIRE_OK(lngd_layer_write(two.optimizer().handle(), layer, field, values.data(),
                                static_cast<std::int64_t>(values.size())));
    CHECK(two.optimizer().read(layer, field) == values);
  }
}

TEST(parameter_refresh_and_discard_leave_it_alone) {
  for (const auto& layers : {network(), only_parameters()}) {
    ParameterNetwork plain(config_of(), layers, {}), busy(config_of(), layers, {});
    for (int t = 0; t < 4; ++t) {
      plain.step(t);
      REQUIRE_OK(lngd_discard(busy.optimizer().handle(), LNGD_ALL_LAYERS));
      REQUIRE_OK(lngd_discard(busy.optimizer().handle(), 0));
      busy.prepare(t);
      REQUIRE_OK(lngd_refresh(busy.plan()));
      REQUIRE_OK(lngd_step(busy.plan(), 1, nullptr));
      busy.finish();
    }
    CHECK(busy.bits() == plain.bits());
  }
}

TEST(parameter_rebind_follows_the_tensors) {
  for (const bool on_device : {false, true}) {
    ParameterNetwork::Options options;
    options.on_device = on_device;
    const std::vector<lngd_layer_config>& layers = only_parameters();
    ParameterNetwork network(config_of(), layers, options), plain(config_of(), layers, options);
    network.step(0), plain.step(0);
    // The gradients of the second step lie elsewhere; the plan's old ones hold others.
    std::vector<std::unique_ptr<Tensor>> gradients;
    std::vector<std::unique_ptr<OnDevice>> there;
    std::vector<void*> addresses;
    plain.prepare(1);
    network.prepare(2);
    for (std::size_t l = 0; l < layers.size(); ++l) {
      gradients.push_back(std::make_unique<Tensor>(layers[l].inputs));
      gradients.back()->fill(plain.gradients(l).values());
      there.push_back(std::make_unique<OnDevice>(network.optimizer().handle(), *gradients.back()));
      addresses.push_back(on_device ? there.back()->view().data : gradients.back()->view().data);
    }
    REQUIRE_OK(lngd_plan_rebind(network.plan(), 2, nullptr, nullptr, addresses.data(), nullptr));
    REQUIRE_OK(lngd_step(network.plan(), 1, nullptr));
    REQUIRE_OK(lngd_step(plain.plan(), 1, nullptr));
    CHECK(network.bits() == plain.bits());
    // Overlap is seen.
    void* const twice[2] = {addresses[0], addresses[0]};
    REQUIRE_OK(lngd_plan_rebind(network.plan(), 2, nullptr, nullptr, twice, nullptr)); // only read
    CHECK_EQ(lngd_plan_rebind(network.plan(), 2, twice, nullptr, nullptr, nullptr), LNGD_INVALID_ARGUMENT);
  }
}

TEST(parameter_network_of_nothing_else) {
  ParameterNetwork network(config_of(), only_parameters(), {});
  std::uint32_t bits = 7;
  REQUIRE_OK(lngd_needs(network.optimizer().handle(), 0, &bits));
  CHECK_EQ(bits, 0u);
  for (int t = 0; t < 3; ++t) network.step(t);
  CHECK_EQ(network.optimizer().health(1).skipped_steps, 0);
  std::int32_t precision = -1;
  REQUIRE_OK(lngd_layer_precision(network.optimizer().handle(), 0, &precision));
  CHECK_EQ(precision, LNGD_PRECISION_FP32);
  // With the rate EMPIRICAL nothing is asked for either, and entries for parameters are not looked at.
  lngd_config config = config_of();
  config.rate = LNGD_RATE_EMPIRICAL;
  ParameterNetwork empirical(config, only_parameters(), {});
  empirical.step(0);
  const lngd_samples nothing[2] = {};
  empirical.prepare(1);
  REQUIRE_OK(lngd_step(empirical.plan(), 1, nothing));
  CHECK_EQ(empirical.optimizer().health(0).skipped_steps, 0);
}

TEST(parameter_samples_are_those_of_the_layers) {
  lngd_config config = config_of();
  config.rate = LNGD_RATE_EMPIRICAL;
  const std::vector<lngd_layer_config> layers = {parameter(9), dense(5, 4, false, LNGD_ACTIVATION_TANH)};
  ParameterNetwork alone(config, {layers[1]}, {}), beside(config, layers, {});
  Tensor inputs(6, 5), deltas(6, 4);
  Random random(4);
  inputs.fill(random_matrix(6, 5, &random));
  deltas.fill(random_matrix(6, 4, &random));
  lngd_samples samples[2] = {};
  samples[1] = {inputs.view(), deltas.view()};
  for (int t = 0; t < 3; ++t) {
    alone.prepare(t), beside.prepare(t);
    CHECK_EQ(lngd_step(beside.plan(), 1, nullptr), LNGD_INVALID_ARGUMENT);
    REQUIRE_OK(lngd_step(alone.plan(), 1, samples + 1));
    REQUIRE_OK(lngd_step(beside.plan(), 1, samples));
  }
  CHECK(beside.bits(1) == alone.bits(0));
  CHECK_EQ(beside.optimizer().health(0).skipped_steps, 0);
}

TEST(parameter_memory_is_reported) {
  lngd_memory memory{};
  memory.struct_size = sizeof memory;
  const Optimizer optimizer(config_of(), only_parameters());
  REQUIRE_OK(lngd_memory_report(optimizer.handle(), &memory));
  // 40 and 21 floats in whole cache lines: 48 and 32. AdamW has two moments.
  CHECK_EQ(memory.momentum, 4 * (2 * 48 + 32));
  CHECK_EQ(memory.averages, 4 * (48 + 32));
  CHECK_EQ(memory.factors, 64); // of what there is once for all layers, the counts of sums: one cache line
  CHECK_EQ(memory.inverses, 0);
}

TEST(parameter_streams_and_graphs_change_no_bit) {
  const lngd::DeviceHooks& hooks = device_hooks();
  for (const auto& layers : {network(), only_parameters()}) {
    ParameterNetwork::Options options;
    options.on_device = true;
    options.weights = Layout::PaddedRows;
    options.rows = 4;
    ParameterNetwork plain(config_of(), layers, options);
    for (int t = 0; t < 7; ++t) plain.step(t, 1 - 0.1 * t);
    for (const int order : {0, 1, 2}) {
      const Schedule schedule(order, 3);
      const Stream stream;
      options.stream = stream.handle();
      ParameterNetwork graphed(config_of(), layers, options);
      void* graph = nullptr;
      int replays = 0;
      for (int t = 0; t < 7; ++t) {
        graphed.prepare(t);
        const double factor = 1 - 0.1 * t;
        std::int32_t allowed = 0;
        if (graph) {
          REQUIRE_OK(lngd_refresh(graphed.plan()));
          REQUIRE_OK(lngd_replay(graphed.plan(), factor, &allowed));
        }
        if (allowed) {
          CHECK_EQ(hooks.graph_launch(graph, stream.handle()), 0);
          ++replays;
        } else {
          REQUIRE_OK(lngd_step(graphed.plan(), factor, nullptr));
        }
        graphed.finish();
        if (t != 1) continue;
        REQUIRE(hooks.capture_begin(stream.handle()) == 0);
        CHECK_OK(lngd_step(graphed.plan(), 0.123, nullptr));
        graph = hooks.capture_end(stream.handle());
        REQUIRE(graph != nullptr);
      }
      CHECK_EQ(replays, 5);
      CHECK(graphed.bits() == plain.bits());
      hooks.graph_destroy(graph);
    }
  }
}
