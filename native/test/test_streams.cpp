// SPDX-License-Identifier: Apache-2.0
//
// The caller's stream, the side stream, refresh and graphs: the order of work must not show in the bits. The emulator
// runs work as late as the program allows (schedule 1) or at random: what nobody waited for is then missing.
#include <string>

#include "resident.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

Case stream_case(const std::string& name) {
  Case c;
  c.name = name;
  c.config = preset(LNGD_PRESET_RECIPE, 20);
  c.config.block_size = 8;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 4;
  c.layers = {dense(11, 9, true, LNGD_ACTIVATION_TANH), dense(9, 4, false, LNGD_ACTIVATION_RELU)};
  c.batch = 10;
  c.steps = 6;
  return c;
}

lngd_config resident_config(int rate = LNGD_RATE_NONE) {
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.block_size = 8;
  config.statistics_interval = 3;
  config.inverse_interval = 3;
  config.rate = rate;
  return config;
}

constexpr int kSteps = 8;

std::vector<std::uint8_t> run_resident(const lngd_config& config, void* stream, bool refresh) {
  Resident resident(config, stream, kSteps);
  for (int t = 0; t < kSteps; ++t) {
    resident.observe(t);
    if (refresh) REQUIRE_OK(lngd_refresh(resident.plan()));
    REQUIRE_OK(resident.step(1 - 0.1 * t));
  }
  return resident.bits();
}

} // namespace

TEST(refresh_changes_no_bit) {
  Case c = stream_case("without refresh");
  const std::vector<std::uint8_t> plain = run_case(c);
  c.name = "with refresh";
  c.refresh = true;
  CHECK(run_case(c) == plain);
}

// Before the layers were observed it leaves them alone; afterwards their coming observations are not asked for.
TEST(refresh_waits_for_observations) {
  const lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  const Optimizer optimizer(config, {dense(3, 2, false)});
  Tensor weights(2, 3), gradients(2, 3), inputs(5, 3), signal(5, 2);
  Random random(3);
  for (Tensor* tensor : {&weights, &gradients}) tensor->fill(random_matrix(2, 3, &random));
  inputs.fill(random_matrix(5, 3, &random));
  signal.fill(random_matrix(5, 2, &random));
  lngd_binding binding{};
  binding.weights = weights.view();
  binding.weight_gradients = gradients.view();
  lngd_plan* plan = nullptr;
  REQUIRE_OK(lngd_plan_create(optimizer.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
  CHECK_OK(lngd_refresh(plan));
  CHECK_EQ(optimizer.health(0).statistics_updates, 0);
  CHECK(optimizer.needs_statistics(0));
  REQUIRE_OK(lngd_observe(optimizer.handle(), 0, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
  CHECK_OK(lngd_refresh(plan));
  CHECK_EQ(optimizer.health(0).statistics_updates, 1);
  CHECK_EQ(optimizer.health(0).inverse_updates, 1);
  CHECK(!optimizer.needs_statistics(0));
  std::int64_t bytes = 0;
  REQUIRE_OK(lngd_state_size(optimizer.handle(), &bytes));
  std::vector<std::uint8_t> state(static_cast<std::size_t>(bytes));
  CHECK_EQ(lngd_state_save(optimizer.handle(), state.data(), bytes, nullptr), LNGD_INVALID_STATE);
  CHECK_OK(lngd_step(plan, 1, nullptr));
  CHECK_EQ(optimizer.health(0).statistics_updates, 1);
  CHECK_EQ(optimizer.health(0).inverse_updates, 1);
  CHECK_EQ(optimizer.health(0).steps, 1);
  CHECK_OK(lngd_state_save(optimizer.handle(), state.data(), bytes, nullptr));
  CHECK_OK(lngd_plan_destroy(plan));
}

TEST(streams_without_a_device) {
  if (device() != LNGD_DEVICE_CPU) skip("for the CPU");
  const Optimizer optimizer(preset(LNGD_PRESET_RECIPE), {dense(2, 2)});
  int something = 0;
  CHECK_EQ(lngd_set_stream(optimizer.handle(), &something), LNGD_INVALID_ARGUMENT);
  CHECK_OK(lngd_set_stream(optimizer.handle(), nullptr));
  CHECK_OK(lngd_synchronize(optimizer.handle()));
}

TEST(streams_and_schedules_change_no_bit) {
  device_hooks();
  for (const int rate : {LNGD_RATE_NONE, LNGD_RATE_KRONECKER}) {
    lngd_config config = resident_config(rate);
    const std::vector<std::uint8_t> plain = run_resident(config, nullptr, false);
    for (const int overlap : {1, 0})
      for (const int order : {0, 1, 2})
        for (const bool refresh : {false, true}) {
          const Scope scope("overlap " + std::to_string(overlap) + " schedule " + std::to_string(order) +
                            (refresh ? " refresh" : ""));
          const Schedule schedule(order, 3);
          const Stream stream;
          config.overlap = overlap;
          CHECK(run_resident(config, stream.handle(), refresh) == plain);
          stream.synchronize();
        }
  }
}

// Batches are made on the caller's stream and overwritten there behind the step: the side stream reads them between.
TEST(streams_batches_are_read_between_their_making_and_the_next_step) {
  const lngd::DeviceHooks& hooks = device_hooks();
  const lngd_config config = resident_config();
  const std::vector<std::uint8_t> plain = run_resident(config, nullptr, false);
  for (const unsigned seed : {1u, 2u, 3u, 4u, 5u, 6u}) {
    const Scope scope("seed " + std::to_string(seed));
    const Schedule schedule(seed == 1 ? 1 : 2, seed);
    const Stream stream;
    Resident resident(config, stream.handle(), kSteps);
    for (int t = 0; t < kSteps; ++t) {
      resident.produce(hooks, stream.handle(), t);
      resident.observe(0);
      REQUIRE_OK(resident.step(1 - 0.1 * t));
    }
    CHECK(resident.bits() == plain);
  }
}

// With batches in host memory nothing but the last step holds the side stream back: not to renew the inverses that this
// step still reads, whether it was launched by lngd_step or by a graph.
TEST(streams_inverses_wait_for_the_step_that_reads_them) {
  const lngd::DeviceHooks& hooks = device_hooks();
  lngd_config config = resident_config();
  config.statistics_interval = config.inverse_interval = 2;
  std::vector<std::uint8_t> plain;
  for (unsigned seed = 0; seed < 12; ++seed) {
    const Scope scope("seed " + std::to_string(seed));
    const Schedule schedule(seed == 0 ? 0 : seed < 3 ? 1 : 2, seed);
    const Stream stream;
    Resident resident(config, stream.handle(), kSteps);
    void* graph = nullptr;
    for (int t = 0; t < kSteps; ++t) {
      if (t % 2 == 0) resident.observe_host(t);
      std::int32_t allowed = 0;
      if (graph) REQUIRE_OK(lngd_replay(resident.plan(), 1, &allowed));
      CHECK_EQ(allowed, graph && t % 2 == 1 ? 1 : 0);
      if (allowed) CHECK_EQ(hooks.graph_launch(graph, stream.handle()), 0);
      if (!allowed) REQUIRE_OK(resident.step(1));
      if (seed % 2 == 1 && t == 2) {
        REQUIRE(hooks.capture_begin(stream.handle()) == 0);
        CHECK_OK(resident.step(1));
        graph = hooks.capture_end(stream.handle());
        REQUIRE(graph != nullptr);
      }
    }
    const std::vector<std::uint8_t> bits = resident.bits();
    if (seed == 0) plain = bits;
    CHECK(bits == plain);
    if (graph) hooks.graph_destroy(graph);
  }
}

TEST(streams_can_be_changed) {
  device_hooks();
  const lngd_config config = resident_config();
  const std::vector<std::uint8_t> plain = run_resident(config, nullptr, false);
  for (const int order : {0, 1, 2}) {
    const Schedule schedule(order, 9);
    const Stream first, second;
    Resident resident(config, first.handle(), kSteps);
    for (int t = 0; t < kSteps; ++t) {
      // Changing streams keeps the order.
      if (t % 2 == 1) REQUIRE_OK(lngd_set_stream(resident.optimizer().handle(), second.handle()));
      if (t % 2 == 0) REQUIRE_OK(lngd_set_stream(resident.optimizer().handle(), first.handle()));
      resident.observe(t);
      REQUIRE_OK(resident.step(1 - 0.1 * t));
    }
    REQUIRE_OK(lngd_synchronize(resident.optimizer().handle()));
    CHECK(resident.bits() == plain);
    REQUIRE_OK(lngd_set_stream(resident.optimizer().handle(), nullptr));
  }
}

TEST(graph_replays_give_the_bits_of_steps) {
  const lngd::DeviceHooks& hooks = device_hooks();
  for (const int rate : {LNGD_RATE_NONE, LNGD_RATE_EMPIRICAL})
    for (const int order : {0, 1, 2}) {
      const Scope scope("rate " + std::to_string(rate) + " schedule " + std::to_string(order));
      const Schedule schedule(order, 11);
      const Stream stream;
      std::vector<std::uint8_t> plain;
      for (const bool graphed : {false, true}) {
        Resident resident(resident_config(rate), stream.handle(), kSteps);
        if (rate == LNGD_RATE_EMPIRICAL) resident.use_samples(0);
        void* graph = nullptr;
        int replays = 0;
        for (int t = 0; t < kSteps; ++t) {
          const double factor = 1 - 0.1 * t;
          REQUIRE_OK(lngd_set(resident.optimizer().handle(), LNGD_SET_MOMENTUM, 0.9 - 0.05 * t));
          resident.observe(t);
          std::int32_t allowed = 0;
          if (graphed && graph) {
            if (t % 2 == 0) REQUIRE_OK(lngd_refresh(resident.plan())); // then a due step can be replayed as well
            REQUIRE_OK(lngd_replay(resident.plan(), factor, &allowed));
          }
          if (allowed) {
            CHECK_EQ(hooks.graph_launch(graph, stream.handle()), 0);
            ++replays;
          } else {
            REQUIRE_OK(resident.step(factor));
          }
          if (graphed && t == 1) {
            const std::int64_t steps = resident.optimizer().health(0).steps;
            REQUIRE(hooks.capture_begin(stream.handle()) == 0);
            CHECK_OK(resident.step(0.123)); // the factor of a capture means nothing
            CHECK_EQ(lngd_replay(resident.plan(), 1, &allowed), LNGD_INVALID_STATE);
            CHECK_EQ(lngd_refresh(resident.plan()), LNGD_INVALID_STATE);
            CHECK_EQ(lngd_synchronize(resident.optimizer().handle()), LNGD_INVALID_STATE);
            graph = hooks.capture_end(stream.handle());
            REQUIRE(graph != nullptr);
            CHECK_EQ(resident.optimizer().health(0).steps, steps);
          }
        }
        const std::vector<std::uint8_t> bits = resident.bits();
        if (!graphed) plain = bits;
        if (graphed) {
          CHECK_GE(replays, 3);
          CHECK(bits == plain);
          hooks.graph_destroy(graph);
        }
      }
    }
}

TEST(graph_of_host_tensors_is_refused) {
  const lngd::DeviceHooks& hooks = device_hooks();
  const Stream stream;
  Case c = stream_case("host tensors");
  c.stream = stream.handle();
  Training training(c);
  training.step();
  REQUIRE(hooks.capture_begin(stream.handle()) == 0);
  CHECK_EQ(lngd_step(training.plan(), 1, nullptr), LNGD_INVALID_STATE);
  void* const graph = hooks.capture_end(stream.handle());
  CHECK(graph != nullptr); // the capture is as it was
  if (graph) hooks.graph_destroy(graph);
  std::int32_t allowed = 1;
  CHECK_OK(lngd_replay(training.plan(), 1, &allowed));
  CHECK_EQ(allowed, 0);
  training.step(); // and everything goes on
  training.compare();
  training.optimizer();
}
