// SPDX-License-Identifier: Apache-2.0
//
// Graphs of steps with the rate EMPIRICAL: each keeps the table of the samples that it was captured with, whatever
// happens to the plan afterwards. On the emulator memory that was freed cannot be read.
#include "resident.hpp"

using namespace conformance;

namespace {

constexpr int kSteps = 6;

lngd_config empirical_config() {
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.block_size = 8;
  config.statistics_interval = config.inverse_interval = 100;
  config.rate = LNGD_RATE_EMPIRICAL;
  return config;
}

// Samples of another batch size.
class Samples {
 public:
  Samples(lngd_optimizer* optimizer, std::int64_t count, std::uint64_t seed)
      : inputs_(count, Resident::kColumns), deltas_(count, Resident::kRows) {
    Random random(seed);
    inputs_.fill(random_matrix(count, Resident::kColumns, &random));
    deltas_.fill(random_matrix(count, Resident::kRows, &random));
    inputs_there_ = std::make_unique<OnDevice>(optimizer, inputs_);
    deltas_there_ = std::make_unique<OnDevice>(optimizer, deltas_);
  }
  void use(Resident& resident) const { resident.use_samples(inputs_there_->view(), deltas_there_->view()); }

 private:
  Tensor inputs_, deltas_;
  std::unique_ptr<OnDevice> inputs_there_, deltas_there_;
};

// A graph of the coming step. The caller's stream is back to normal afterwards.
void* capture(const lngd::DeviceHooks& hooks, Resident& resident, void* stream) {
  REQUIRE(hooks.capture_begin(stream) == 0);
  REQUIRE_OK(resident.step(1));
  void* const graph = hooks.capture_end(stream);
  REQUIRE(graph != nullptr);
  return graph;
}

// One step with the samples of `which`: by a graph where there is one for them, else by lngd_step.
void take(const lngd::DeviceHooks& hooks, Resident& resident, const Samples& samples, void* graph, void* stream) {
  std::int32_t allowed = 0;
  if (graph) {
    REQUIRE_OK(lngd_replay(resident.plan(), 1, &allowed));
    CHECK_EQ(allowed, 1);
    CHECK_EQ(hooks.graph_launch(graph, stream), 0);
  } else {
    samples.use(resident);
    REQUIRE_OK(resident.step(1));
  }
}

// The run: 10 samples, then 70 (three tiles of rows more), then 10 others, then again from the start. With graphs,
// those of 10 samples are captured after the first step, one right after the other.
std::vector<std::uint8_t> run(bool graphed, int order) {
  const lngd::DeviceHooks& hooks = device_hooks();
  const Schedule schedule(order, 5);
  const Stream stream;
  Resident resident(empirical_config(), stream.handle(), 1);
  lngd_optimizer* const handle = resident.optimizer().handle();
  const Samples first(handle, 10, 1), many(handle, 70, 2), other(handle, 10, 3);
  void *first_graph = nullptr, *other_graph = nullptr;
  resident.observe(0);
  for (int t = 0; t < kSteps; ++t) {
    const Scope scope("step " + std::to_string(t));
    const bool large = t % 3 == 1;
    const Samples& samples = large ? many : t % 3 == 0 ? first : other;
    take(hooks, resident, samples, large ? nullptr : t % 3 == 0 ? first_graph : other_graph, stream.handle());
    if (t > 0 || !graphed) continue;
    first.use(resident);
    first_graph = capture(hooks, resident, stream.handle());
    other.use(resident);
    other_graph = capture(hooks, resident, stream.handle());
  }
  std::vector<std::uint8_t> bits = resident.bits();
  for (void* const graph : {first_graph, other_graph})
    if (graph) hooks.graph_destroy(graph);
  return bits;
}

} // namespace

TEST(captured_rates_outlive_steps_with_more_samples) {
  device_hooks();
  for (const int order : {0, 1, 2}) {
    const Scope scope("schedule " + std::to_string(order));
    CHECK(run(true, order) == run(false, order));
  }
}

// Before any step with as many samples, when the plan has no table of that size: memory is made while the stream is
// being captured.
TEST(captured_rates_of_more_samples_than_any_step_had) {
  const lngd::DeviceHooks& hooks = device_hooks();
  std::vector<std::uint8_t> ends[2];
  for (const bool graphed : {false, true}) {
    const Stream stream;
    Resident resident(empirical_config(), stream.handle(), 1);
    const Samples few(resident.optimizer().handle(), 3, 4), many(resident.optimizer().handle(), 70, 5);
    resident.observe(0);
    take(hooks, resident, few, nullptr, stream.handle());
    many.use(resident);
    void* const graph = graphed ? capture(hooks, resident, stream.handle()) : nullptr;
    take(hooks, resident, many, graph, stream.handle());
    ends[graphed] = resident.bits();
    if (graph) hooks.graph_destroy(graph);
  }
  CHECK(ends[0] == ends[1]);
}

// What captures have taken is counted, and freed with the plan.
TEST(captured_rates_are_freed_with_the_plan) {
  const lngd::DeviceHooks& hooks = emulator_hooks();
  const int before = hooks.live();
  {
    const Stream stream;
    Resident resident(empirical_config(), stream.handle(), 1);
    const Samples samples(resident.optimizer().handle(), 10, 6);
    resident.observe(0);
    take(hooks, resident, samples, nullptr, stream.handle());
    lngd_memory none{}, two{};
    none.struct_size = two.struct_size = sizeof none;
    CHECK_OK(lngd_memory_report(resident.optimizer().handle(), &none));
    for (int k = 0; k < 2; ++k) hooks.graph_destroy(capture(hooks, resident, stream.handle()));
    CHECK_OK(lngd_memory_report(resident.optimizer().handle(), &two));
    CHECK_GT(two.workspace, none.workspace);
  }
  CHECK_EQ(hooks.live(), before);
}
