// SPDX-License-Identifier: Apache-2.0
//
// lngd_plan_rebind: gradients and weights that move between steps change no bit, in host and device memory, in the
// order of the stream, and under graphs; what is refused changes nothing.
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "device.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

constexpr int kSteps = 6;
constexpr std::int64_t kBatch = 7;

// A tensor in two places that hold the same layout; only the current one has the values, the other one has NaN.
struct Moving {
  std::unique_ptr<Tensor> host[2];
  std::unique_ptr<OnDevice> there[2];
  int current = 0;

  void make(lngd_optimizer* optimizer, const twin::Matrix& values, Layout layout, bool device) {
    for (int k = 0; k < 2; ++k) {
      host[k] = values.cols == 1 ? std::make_unique<Tensor>(values.rows, layout)
                                 : std::make_unique<Tensor>(values.rows, values.cols, layout);
      host[k]->fill(values);
      if (k == 1) host[k]->fill(std::numeric_limits<double>::quiet_NaN());
      if (device) there[k] = std::make_unique<OnDevice>(optimizer, *host[k]);
    }
  }
  lngd_tensor view() const { return there[current] ? there[current]->view() : host[current]->view(); }
  void* address() const {
    const lngd_tensor t = view();
    return static_cast<char*>(t.data) + t.byte_offset;
  }
  void put(const twin::Matrix& values) {
    host[current]->fill(values);
    if (there[current]) there[current]->upload();
  }
  twin::Matrix get() const {
    if (there[current]) there[current]->download();
    return host[current]->values();
  }
  void move(const twin::Matrix& values) {
    host[current]->fill(std::numeric_limits<double>::quiet_NaN());
    if (there[current]) there[current]->upload();
    current = 1 - current;
    put(values);
  }
};

struct Layers {
  std::vector<lngd_layer_config> configs;
  std::unique_ptr<Optimizer> optimizer;
  std::vector<std::unique_ptr<Moving>> tensors[4]; // in the order of lngd_plan_rebind; no vectors without a bias
  lngd_plan* plan = nullptr;

  Layers(int count, bool device, int update, Layout layout) {
    lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
    config.statistics_interval = config.inverse_interval = 2;
    for (int l = 0; l < count; ++l) configs.push_back(dense(5 + l % 3, 4 + l % 2, l % 2 == 0, LNGD_ACTIVATION_TANH));
    optimizer = std::make_unique<Optimizer>(config, configs);
    Random random(3);
    std::vector<lngd_binding> bindings;
    for (int l = 0; l < count; ++l) {
      const lngd_layer_config& c = configs[static_cast<std::size_t>(l)];
      for (auto& of : tensors) of.push_back(std::make_unique<Moving>());
      for (const int k : {0, 2}) made(k, random_matrix(c.outputs, c.inputs, &random), layout, device);
      if (c.bias)
        for (const int k : {1, 3}) made(k, random_matrix(c.outputs, 1, &random), Layout::Compact, device);
      lngd_binding binding{};
      binding.layer = l;
      binding.weights = tensors[0].back()->view();
      binding.weight_gradients = tensors[2].back()->view();
      if (c.bias) binding.bias = tensors[1].back()->view(), binding.bias_gradients = tensors[3].back()->view();
      bindings.push_back(binding);
    }
    REQUIRE_OK(lngd_plan_create(optimizer->handle(), bindings.data(), count, update, &plan));
  }
  ~Layers() { lngd_plan_destroy(plan); }

  void made(int k, const twin::Matrix& values, Layout layout, bool device) {
    tensors[k].back()->make(optimizer->handle(), values, layout, device);
  }
  int count() const { return static_cast<int>(configs.size()); }
  bool has(int k, int l) const { return k % 2 == 0 || configs[static_cast<std::size_t>(l)].bias; }
  Moving& at(int k, int l) const { return *tensors[k][static_cast<std::size_t>(l)]; }
  std::vector<void*> addresses(int k) const {
    std::vector<void*> of;
    for (int l = 0; l < count(); ++l) of.push_back(has(k, l) ? at(k, l).address() : nullptr);
    return of;
  }
  lngd_status rebind() const {
    const std::vector<void*> a = addresses(0), b = addresses(1), c = addresses(2), d = addresses(3);
    return lngd_plan_rebind(plan, count(), a.data(), b.data(), c.data(), d.data());
  }
  void observe(Random* random) const {
    for (int l = 0; l < count(); ++l) {
      const lngd_layer_config& c = configs[static_cast<std::size_t>(l)];
      Tensor inputs(kBatch, c.inputs), signal(kBatch, c.outputs);
      inputs.fill(random_matrix(kBatch, c.inputs, random));
      signal.fill(random_matrix(kBatch, c.outputs, random));
      REQUIRE_OK(lngd_observe(optimizer->handle(), l, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
    }
  }
  // New gradients for all layers; with `move` in the other place, as the weights every third step.
  void fill(int step, bool move, Random* random) const {
    for (int l = 0; l < count(); ++l)
      for (int k = 0; k < 4; ++k) {
        if (!has(k, l)) continue;
        Moving& tensor = at(k, l);
        if (k < 2) {
          if (move && step % 3 == 2) tensor.move(tensor.get());
          continue;
        }
        const twin::Matrix before = tensor.host[tensor.current]->values();
        const twin::Matrix values = random_matrix(before.rows, before.cols, random);
        move ? tensor.move(values) : tensor.put(values);
      }
  }
  std::vector<twin::Matrix> weights() const {
    std::vector<twin::Matrix> all;
    for (int l = 0; l < count(); ++l)
      for (int k = 0; k < 4; ++k)
        if (has(k, l)) all.push_back(at(k, l).get());
    return all;
  }
};

std::vector<twin::Matrix> run(int count, bool device, int update, Layout layout, bool move) {
  Layers layers(count, device, update, layout);
  Random random(11);
  for (int t = 0; t < kSteps; ++t) {
    layers.observe(&random);
    layers.fill(t, move, &random);
    if (move) REQUIRE_OK(layers.rebind());
    REQUIRE_OK(lngd_step(layers.plan, 1 - 0.1 * t, nullptr));
  }
  for (int l = 0; l < count; ++l) {
    CHECK_EQ(layers.optimizer->health(l).skipped_steps, 0);
    CHECK_EQ(layers.optimizer->health(l).steps, kSteps);
  }
  return layers.weights();
}

void check_same(const std::vector<twin::Matrix>& a, const std::vector<twin::Matrix>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK_EQ(largest_difference(a[i], b[i]), 0.0);
}

// A call that is refused with a message in which `what` is.
void refused(lngd_status status, const std::string& what) {
  CHECK_EQ(status, LNGD_INVALID_ARGUMENT);
  if (std::string(lngd_last_error()).find(what) == std::string::npos)
    fail(__FILE__, __LINE__, "no \"" + what + "\" in: " + lngd_last_error());
}

} // namespace

TEST(rebind_moving_tensors_change_no_bit) {
  for (const bool on_device : {false, true})
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
      for (const Layout layout : {Layout::Compact, Layout::Transposed, Layout::PaddedRows}) {
        const Scope scope(std::string(layout_name(layout)) + (on_device ? " on the device" : " on the host") +
                          " update " + std::to_string(update));
        check_same(run(3, on_device, update, layout, false), run(3, on_device, update, layout, true));
      }
}

// More layers than the CUDA backend hands over in a launch (32).
TEST(rebind_many_layers) {
  for (const bool on_device : {false, true})
    check_same(run(67, on_device, LNGD_UPDATE_WEIGHTS, Layout::Compact, false),
               run(67, on_device, LNGD_UPDATE_WEIGHTS, Layout::Compact, true));
}

// An array that is NULL keeps what there is, and a call that changes nothing does nothing.
TEST(rebind_some_arrays) {
  Layers layers(3, false, LNGD_UPDATE_WEIGHTS, Layout::Compact);
  Random random(1);
  layers.observe(&random);
  REQUIRE_OK(layers.rebind());
  layers.fill(0, true, &random);
  const std::vector<void*> gradients = layers.addresses(2), bias_gradients = layers.addresses(3);
  REQUIRE_OK(lngd_plan_rebind(layers.plan, 3, nullptr, nullptr, gradients.data(), bias_gradients.data()));
  REQUIRE_OK(lngd_plan_rebind(layers.plan, 3, nullptr, nullptr, nullptr, nullptr));
  REQUIRE_OK(lngd_step(layers.plan, 1, nullptr));
  for (int l = 0; l < 3; ++l) CHECK_EQ(layers.optimizer->health(l).skipped_steps, 0); // no NaN was read
}

TEST(rebind_refuses_and_changes_nothing) {
  Layers layers(3, false, LNGD_UPDATE_WEIGHTS, Layout::Compact);
  Random random(1);
  layers.observe(&random);
  const std::vector<void*> weights = layers.addresses(0), gradients = layers.addresses(2);
  refused(lngd_plan_rebind(layers.plan, 2, weights.data(), nullptr, nullptr, nullptr), "count is 2, allowed is 3");
  std::vector<void*> bad = gradients;
  bad[1] = nullptr;
  refused(lngd_plan_rebind(layers.plan, 3, nullptr, nullptr, bad.data(), nullptr), "weight_gradients[1] is NULL");
  bad = layers.addresses(1);
  bad[0] = nullptr; // layer 0 has a bias; layer 1 has none, and its entry is NULL anyway
  refused(lngd_plan_rebind(layers.plan, 3, nullptr, bad.data(), nullptr, nullptr), "bias[0] is NULL");
  bad = weights;
  bad[2] = static_cast<char*>(bad[0]) + 4; // inside another one's weights
  refused(lngd_plan_rebind(layers.plan, 3, bad.data(), nullptr, nullptr, nullptr), "overlaps");
  bad = gradients;
  bad[0] = weights[0];
  refused(lngd_plan_rebind(layers.plan, 3, nullptr, nullptr, bad.data(), nullptr), "overlaps");
  bad = gradients;
  bad[2] = bad[0]; // both are only read
  CHECK_OK(lngd_plan_rebind(layers.plan, 3, nullptr, nullptr, bad.data(), nullptr));
  CHECK_OK(lngd_plan_rebind(layers.plan, 3, nullptr, nullptr, gradients.data(), nullptr));
  CHECK_EQ(lngd_plan_rebind(nullptr, 3, nullptr, nullptr, nullptr, nullptr), LNGD_INVALID_HANDLE);
  // The addresses are those of before.
  REQUIRE_OK(lngd_step(layers.plan, 1, nullptr));
  Layers other(3, false, LNGD_UPDATE_WEIGHTS, Layout::Compact);
  Random again(1);
  other.observe(&again);
  REQUIRE_OK(lngd_step(other.plan, 1, nullptr));
  check_same(layers.weights(), other.weights());
}

TEST(rebind_refuses_crooked_device_addresses) {
  device_hooks();
  Layers layers(2, true, LNGD_UPDATE_WEIGHTS, Layout::Compact);
  std::vector<void*> bad = layers.addresses(2);
  bad[0] = static_cast<char*>(bad[0]) + 2;
  refused(lngd_plan_rebind(layers.plan, 2, nullptr, nullptr, bad.data(), nullptr), "allowed is a multiple of 4");
}

// A small tensor in the gap between two others, seen from an enclosing one: in the order of first bytes they are not
// neighbours.
TEST(rebind_overlaps_of_tensors_that_are_no_neighbours) {
  std::vector<float> memory(200);
  const Optimizer optimizer(preset(LNGD_PRESET_RECIPE), {dense(8, 8, false), dense(2, 2, false)});
  std::int64_t large[2] = {8, 8}, small[2] = {2, 2};
  const auto tensor = [&](std::int64_t at, std::int64_t* shape) {
    return lngd_tensor{memory.data() + at, 1, 0, 2, 2, 32, 1, shape, nullptr, 0};
  };
  const auto make = [&](std::int64_t w0, std::int64_t g0, std::int64_t w1, std::int64_t g1) {
    lngd_binding bindings[2] = {};
    bindings[0].weights = tensor(w0, large);
    bindings[0].weight_gradients = tensor(g0, large);
    bindings[1].layer = 1;
    bindings[1].weights = tensor(w1, small);
    bindings[1].weight_gradients = tensor(g1, small);
    lngd_plan* plan = nullptr;
    const lngd_status status = lngd_plan_create(optimizer.handle(), bindings, 2, LNGD_UPDATE_WEIGHTS, &plan);
    if (status == LNGD_OK) lngd_plan_destroy(plan);
    return status;
  };
  CHECK_OK(make(0, 64, 128, 132));
  CHECK_OK(make(0, 64, 128, 70)); // gradients in gradients
  refused(make(0, 64, 100, 70), "bindings[1].weights overlaps bindings[0].weight_gradients");
  refused(make(0, 64, 128, 60), "bindings[1].weight_gradients overlaps bindings[0].weights");
  refused(make(0, 64, 127, 132), "overlaps");
}

// The device is steps behind the host: each step still reads what was bound when it was enqueued.
TEST(rebind_in_the_order_of_the_stream) {
  device_hooks();
  std::vector<std::vector<twin::Matrix>> ends;
  for (const int order : {0, 1, 2}) {
    const Schedule schedule(order, 5);
    const Stream stream;
    Layers layers(2, true, LNGD_UPDATE_WEIGHTS, Layout::Compact);
    REQUIRE_OK(lngd_set_stream(layers.optimizer->handle(), stream.handle()));
    Random random(9);
    // Both places of the gradients have values, and no step is waited for between the rebinds.
    for (const int k : {2, 3})
      for (int l = 0; l < 2; ++l)
        if (layers.has(k, l)) {
          Moving& m = layers.at(k, l);
          m.host[1]->fill(random_matrix(m.host[1]->rows(), m.host[1]->cols(), &random));
          m.there[1]->upload();
        }
    layers.observe(&random);
    for (int t = 0; t < kSteps; ++t) {
      for (const int k : {2, 3})
        for (int l = 0; l < 2; ++l) layers.at(k, l).current = t % 2;
      REQUIRE_OK(layers.rebind());
      REQUIRE_OK(lngd_step(layers.plan, 1, nullptr));
    }
    REQUIRE_OK(lngd_synchronize(layers.optimizer->handle()));
    ends.push_back(layers.weights());
    REQUIRE_OK(lngd_set_stream(layers.optimizer->handle(), nullptr));
  }
  check_same(ends[0], ends[1]);
  check_same(ends[0], ends[2]);
}

// A captured step takes the addresses that are bound when it is launched.
TEST(rebind_under_a_graph) {
  const lngd::DeviceHooks& hooks = device_hooks();
  std::vector<std::vector<twin::Matrix>> ends;
  for (const bool graphed : {false, true}) {
    const Stream stream;
    Layers layers(2, true, LNGD_UPDATE_WEIGHTS, Layout::Compact);
    REQUIRE_OK(lngd_set_stream(layers.optimizer->handle(), stream.handle()));
    Random random(9);
    layers.observe(&random);
    REQUIRE_OK(lngd_step(layers.plan, 1, nullptr));
    void* graph = nullptr;
    if (graphed) {
      REQUIRE(hooks.capture_begin(stream.handle()) == 0);
      CHECK_OK(lngd_step(layers.plan, 1, nullptr));
      CHECK_EQ(layers.rebind(), LNGD_INVALID_STATE);
      graph = hooks.capture_end(stream.handle());
      REQUIRE(graph != nullptr);
    }
    layers.fill(0, true, &random);
    REQUIRE_OK(layers.rebind());
    std::int32_t allowed = 0;
    if (graphed) REQUIRE_OK(lngd_replay(layers.plan, 1, &allowed));
    CHECK_EQ(allowed, graphed ? 1 : 0);
    if (allowed) CHECK_EQ(hooks.graph_launch(graph, stream.handle()), 0);
    if (!allowed) REQUIRE_OK(lngd_step(layers.plan, 1, nullptr));
    REQUIRE_OK(lngd_synchronize(layers.optimizer->handle()));
    ends.push_back(layers.weights());
    if (graph) hooks.graph_destroy(graph);
    REQUIRE_OK(lngd_set_stream(layers.optimizer->handle(), nullptr));
  }
  check_same(ends[0], ends[1]);
}

// A device that fails in the middle: no step with half of the addresses.
TEST(rebind_that_failed_is_done_again) {
  const lngd::DeviceHooks& hooks = emulator_hooks();
  Layers layers(40, true, LNGD_UPDATE_WEIGHTS, Layout::Compact); // two launches
  Random random(4);
  layers.observe(&random);
  layers.fill(0, true, &random);
  hooks.inject_fault("launch", 2, 1);
  const lngd_status status = layers.rebind();
  hooks.inject_fault("*", 0, 0);
  CHECK_EQ(status, LNGD_DEVICE_ERROR);
  CHECK_EQ(lngd_step(layers.plan, 1, nullptr), LNGD_INVALID_STATE);
  CHECK_EQ(lngd_swap_averages(layers.plan, nullptr), LNGD_INVALID_STATE);
  const std::vector<void*> gradients = layers.addresses(2);
  refused(lngd_plan_rebind(layers.plan, 40, nullptr, nullptr, gradients.data(), nullptr), "an array is NULL");
  REQUIRE_OK(layers.rebind());
  REQUIRE_OK(lngd_step(layers.plan, 1, nullptr));
  for (int l = 0; l < layers.count(); ++l) CHECK_EQ(layers.optimizer->health(l).skipped_steps, 0);
}
