// SPDX-License-Identifier: Apache-2.0
//
// Injected failures of every CUDA call that an operation makes, one after the other, recoverable and fatal: the status
// is right, the message names a call, a recoverable failure leaves an optimizer that works on, a fatal one leaves a
// handle that says so at once, and nothing leaks. On the emulator, which counts what is allocated.
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include "parameters.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

constexpr int kIllegalAddress = 700, kMemoryAllocation = 2, kInvalidValue = 1;
constexpr int kMost = 400; // calls of an operation; more means that it never succeeds

// A small network with everything in it: host and device tensors, both streams, EMPIRICAL samples.
Case fault_case(int places) {
  Case c;
  c.config = preset(LNGD_PRESET_RECIPE, 20);
  c.config.block_size = 4;
  c.config.statistics_interval = 1;
  c.config.inverse_interval = 1;
  c.config.rate = LNGD_RATE_EMPIRICAL;
  c.layers = {dense(5, 3, true, LNGD_ACTIVATION_TANH)};
  c.batch = 4;
  c.on_device = places;
  return c;
}

// Kinds of layers whose kernels differ.
enum class Net { Dense, SecondFactor, Embedding, EmbeddingSecondFactor, WithParameter, Reduced, Shared };
constexpr Net kNets[] = {Net::Dense,         Net::SecondFactor, Net::Embedding, Net::EmbeddingSecondFactor,
                         Net::WithParameter, Net::Reduced,      Net::Shared};

bool has_second_factor(Net net) { return net == Net::SecondFactor || net == Net::EmbeddingSecondFactor; }
bool is_embedding(Net net) { return net == Net::Embedding || net == Net::EmbeddingSecondFactor; }

lngd_config config_of(Net net) {
  lngd_config config = fault_case(0).config;
  if (net == Net::Reduced || net == Net::Shared) config.rate = LNGD_RATE_NONE;
  if (net == Net::WithParameter) config.gradient_clipping = 0.5;
  if (!has_second_factor(net)) return config;
  config.approximation = LNGD_APPROXIMATION_KFAC;
  config.fisher = LNGD_FISHER_PROVIDED;
  config.damping = LNGD_DAMPING_FACTORED;
  return config;
}

lngd_layer_config layer_of(Net net) {
  lngd_layer_config layer = dense(5, 3, false, LNGD_ACTIVATION_TANH);
  if (is_embedding(net)) REQUIRE_OK(lngd_embedding_init(5, 3, &layer));
  return layer;
}

std::vector<lngd_layer_config> layers_of(Net net) {
  std::vector<lngd_layer_config> layers = {layer_of(net)};
  if (net == Net::WithParameter) layers.push_back(parameter(7));
  return layers;
}

// The tensors of a layer on their own, so that an operation can be tried again after it failed.
struct Bench {
  Net net;
  Optimizer optimizer;
  Tensor weights{3, 5}, gradients{3, 5}, rows{4, 5}, indices{4}, signal{4, 3};
  Tensor scales{7}, scale_gradients{7}; // of the parameter
  Tensor& inputs;
  int signal_kind;
  lngd_plan* plan = nullptr;

  explicit Bench(Net which)
      : net(which),
        optimizer(config_of(which), layers_of(which)),
        inputs(is_embedding(which) ? indices : rows),
        signal_kind(has_second_factor(which) ? LNGD_SIGNAL_GRADIENTS : LNGD_SIGNAL_PRE_ACTIVATIONS) {
    Random random(2);
    for (Tensor* tensor : {&weights, &gradients, &rows, &signal})
      tensor->fill(random_matrix(tensor->rows(), tensor->cols(), &random));
    scale_gradients.fill(1.0);
    for (int n = 0; n < 4; ++n) indices.set(n, 0, n % 3);
  }
  lngd_status make_plan() {
    lngd_binding bindings[2] = {};
    bindings[0].weights = weights.view();
    bindings[0].weight_gradients = gradients.view();
    bindings[1].layer = 1;
    bindings[1].weights = scales.view();
    bindings[1].weight_gradients = scale_gradients.view();
    return lngd_plan_create(optimizer.handle(), bindings, net == Net::WithParameter ? 2 : 1, LNGD_UPDATE_WEIGHTS,
                            &plan);
  }
  lngd_status observe() { return lngd_observe(optimizer.handle(), 0, inputs.pointer(), signal.pointer(), signal_kind); }
  lngd_status step() {
    const lngd_samples samples[2] = {{inputs.view(), signal.view()}, {}};
    return lngd_step(plan, 1, samples);
  }
  std::vector<std::uint8_t> state() {
    std::int64_t bytes = 0;
    REQUIRE_OK(lngd_state_size(optimizer.handle(), &bytes));
    std::vector<std::uint8_t> state(static_cast<std::size_t>(bytes));
    REQUIRE_OK(lngd_state_save(optimizer.handle(), state.data(), bytes, nullptr));
    return state;
  }
  std::vector<std::uint8_t> earlier, now; // states

  // Of Net::Shared: this is rank 1, and `owner` rank 0, which has the layer.
  std::unique_ptr<Bench> owner;
  lngd_status share(int rank) {
    const std::int32_t owners[] = {0};
    return lngd_share_inverses(optimizer.handle(), owners, 1, rank);
  }
  void shared() {
    owner = std::make_unique<Bench>(net);
    REQUIRE_OK(owner->share(0));
    REQUIRE_OK(share(1));
    for (Bench* bench : {owner.get(), this}) {
      REQUIRE_OK(bench->make_plan());
      REQUIRE_OK(bench->observe());
    }
    REQUIRE_OK(lngd_refresh(owner->plan));
  }
  // The owner's inverses to this rank.
  void broadcast() {
    lngd_inverses from{}, to{};
    from.struct_size = to.struct_size = sizeof from;
    REQUIRE_OK(lngd_get_inverses(owner->optimizer.handle(), &from));
    REQUIRE_OK(lngd_get_inverses(optimizer.handle(), &to));
    const auto bytes = from.float_count * static_cast<std::int64_t>(sizeof(float));
    REQUIRE_OK(lngd_device_copy(optimizer.handle(), to.floats, from.floats, bytes));
  }
};

struct Operation {
  const char* name;
  bool repeatable;                    // after a failure it can be done again, and then nothing shows of that
  std::function<void(Bench&)> before; // without faults
  std::function<lngd_status(Bench&)> run;
};

const std::vector<Operation>& operations() {
  static const auto nothing = [](Bench&) {};
  static const auto planned = [](Bench& b) { REQUIRE_OK(b.make_plan()); };
  static const auto observed = [](Bench& b) {
    REQUIRE_OK(b.make_plan());
    REQUIRE_OK(b.observe());
  };
  static const auto stepped = [](Bench& b) {
    REQUIRE_OK(b.make_plan());
    REQUIRE_OK(b.observe());
    REQUIRE_OK(b.step());
  };
  static const auto restorable = [](Bench& b) {
    stepped(b);
    b.earlier = b.state();
    REQUIRE_OK(b.observe());
    REQUIRE_OK(b.step());
    b.now = b.state();
  };
  static const std::vector<Operation> all = {
      {"plan_create", true, nothing, [](Bench& b) { return b.make_plan(); }},
      {"observe", true, planned, [](Bench& b) { return b.observe(); }},
      {"refresh", false, observed, [](Bench& b) { return lngd_refresh(b.plan); }},
      {"first step", false, observed, [](Bench& b) { return b.step(); }},
      {"later step", false, stepped, [](Bench& b) { return b.step(); }},
      {"swap_averages", true, stepped, [](Bench& b) { return lngd_swap_averages(b.plan, nullptr); }},
      {"layer_health", true, stepped,
       [](Bench& b) {
         lngd_health health{};
         health.struct_size = sizeof health;
         return lngd_layer_health(b.optimizer.handle(), 0, &health);
       }},
      {"layer_read", true, stepped,
       [](Bench& b) {
         float values[15];
         return lngd_layer_read(b.optimizer.handle(), 0, LNGD_FIELD_MOMENTUM, values, 15, nullptr);
       }},
      {"layer_write", true, stepped,
       [](Bench& b) {
         const float values[9] = {0.25f, 0, 0, 0, 0.5f, 0, 0, 0, 0.25f}; // a matrix, or the first 3 of it
         const int count = b.net == Net::SecondFactor ? 9 : 3;
         return lngd_layer_write(b.optimizer.handle(), 0, LNGD_FIELD_PSI, values, count);
       }},
      {"fisher_rows", true, nothing,
       [](Bench& b) {
         float q[12], r[4], c[4];
         return lngd_fisher_rows(b.optimizer.handle(), 0, 0, b.inputs.pointer(), b.signal.pointer(), b.signal_kind, q,
                                 r, c);
       }},
      {"state_save", true, stepped,
       [](Bench& b) {
         std::int64_t bytes = 0;
         if (const lngd_status status = lngd_state_size(b.optimizer.handle(), &bytes)) return status;
         std::vector<std::uint8_t> state(static_cast<std::size_t>(bytes));
         return lngd_state_save(b.optimizer.handle(), state.data(), bytes, nullptr);
       }},
      {"state_restore", true, restorable,
       [](Bench& b) {
         const auto bytes = static_cast<std::int64_t>(b.earlier.size());
         const lngd_status status = lngd_state_restore(b.optimizer.handle(), b.earlier.data(), bytes);
         // A failure changes nothing.
         if (status != LNGD_OK && status != LNGD_DEVICE_LOST) CHECK(b.state() == b.now);
         return status;
       }},
      {"sums_close", false, observed, [](Bench& b) { return lngd_sums_close(b.optimizer.handle()); }},
      {"sums_reduced", false,
       [](Bench& b) {
         observed(b);
         REQUIRE_OK(lngd_sums_close(b.optimizer.handle()));
       },
       [](Bench& b) { return lngd_sums_reduced(b.optimizer.handle()); }},
      {"discard of closed sums", false,
       [](Bench& b) {
         observed(b);
         REQUIRE_OK(lngd_sums_close(b.optimizer.handle()));
       },
       [](Bench& b) { return lngd_discard(b.optimizer.handle(), LNGD_ALL_LAYERS); }},
      {"share_inverses", true, nothing, [](Bench& b) { return b.share(0); }},
      {"refresh of shared inverses", false, [](Bench& b) { b.shared(); },
       [](Bench& b) { return lngd_refresh(b.plan); }},
      {"refresh of own inverses", false,
       [](Bench& b) {
         REQUIRE_OK(b.share(0));
         observed(b);
       },
       [](Bench& b) { return lngd_refresh(b.plan); }},
      {"inverses_received", true,
       [](Bench& b) {
         b.shared();
         REQUIRE_OK(lngd_refresh(b.plan));
         b.broadcast();
       },
       [](Bench& b) { return lngd_inverses_received(b.optimizer.handle()); }},
      {"synchronize", true, observed, [](Bench& b) { return lngd_synchronize(b.optimizer.handle()); }},
  };
  return all;
}

// The operations that launch other kernels for other kinds of layers; everything else is tried with the dense one.
bool differs(const Operation& operation, Net net) {
  const std::string name = operation.name;
  const bool sums = name.find("sums") != std::string::npos, inverses = name.find("inverses") != std::string::npos;
  if (inverses || net == Net::Shared) return inverses && net == Net::Shared;
  if (sums || net == Net::Reduced) return sums && net == Net::Reduced;
  if (net == Net::WithParameter && (name == "swap_averages" || name == "state_restore")) return true;
  return net == Net::Dense || name == "plan_create" || name == "observe" || name == "first step";
}

bool names_a_call() {
  const std::string message = lngd_last_error();
  return message.find("cuda") == 0 || message.find("launch ") == 0;
}

// What a working optimizer must still be able to do.
void works_on(Bench& b) {
  if (!b.plan) REQUIRE_OK(b.make_plan());
  if (b.net == Net::Reduced) CHECK_OK(lngd_discard(b.optimizer.handle(), LNGD_ALL_LAYERS));
  std::int32_t swapped = 0;
  CHECK_OK(b.observe());
  std::uint32_t bits = 0;
  if (b.net == Net::Shared) CHECK_OK(lngd_refresh(b.plan));
  CHECK_OK(lngd_needs(b.optimizer.handle(), 0, &bits));
  if (bits & LNGD_NEEDS_INVERSES) {
    if (b.owner) b.broadcast();
    CHECK_OK(lngd_inverses_received(b.optimizer.handle()));
  }
  lngd_status status = b.step();
  if (status == LNGD_INVALID_STATE) { // the operation had swapped averages in
    CHECK_OK(lngd_swap_averages(b.plan, &swapped));
    status = b.step();
  }
  CHECK_OK(status);
  const lngd_health health = b.optimizer.health(0);
  CHECK_EQ(health.last_step_skipped, 0);
  CHECK_GT(health.steps, 0);
  for (const double w : b.weights.values().values) CHECK(w == w);
}

void says_lost(Bench& b, const std::string& first) {
  std::uint32_t bits = 0;
  CHECK_EQ(lngd_needs(b.optimizer.handle(), 0, &bits), LNGD_DEVICE_LOST);
  CHECK_EQ(b.observe(), LNGD_DEVICE_LOST);
  CHECK_EQ(std::string(lngd_last_error()), first);
  if (b.plan) CHECK_EQ(b.step(), LNGD_DEVICE_LOST);
  CHECK_EQ(lngd_synchronize(b.optimizer.handle()), LNGD_DEVICE_LOST);
  if (b.plan) CHECK_OK(lngd_plan_destroy(b.plan)); // which destroying allows
}

// Runs the operation with its n-th call failing, for n = 1, 2, ... until no call is left to fail.
void fail_every_call(const lngd::DeviceHooks& hooks, const Operation& operation, Net net, int error) {
  const bool fatal = error == kIllegalAddress;
  const int live = hooks.live();
  int failed = 0;
  // After an operation that failed and was repeated; the last: undisturbed.
  std::vector<twin::Matrix> ends;       // weights
  std::vector<twin::Matrix> scale_ends; // and the parameter
  std::vector<std::vector<float>> phis; // averages: the trust ratio hides a factor on them from the weights
  for (int n = 1; n <= kMost; ++n) {
    const Scope scope("net " + std::to_string(static_cast<int>(net)) + ", " + operation.name + ", call " +
                      std::to_string(n) + ", error " + std::to_string(error));
    bool done = false;
    {
      Bench bench(net);
      operation.before(bench);
      const twin::Matrix weights = bench.weights.values(), scales = bench.scales.values();
      hooks.inject_fault("*", n, error);
      const lngd_status status = operation.run(bench);
      done = hooks.calls_counted() < n;
      hooks.inject_fault("", 0, 0);
      if (done) {
        CHECK_OK(status);
      } else if (status == LNGD_OK) {
        // A call whose failure need not be told: freeing what is no longer wanted. Its device, then, is lost unnoticed.
        CHECK(!fatal || lngd_synchronize(bench.optimizer.handle()) == LNGD_DEVICE_LOST);
      } else {
        ++failed;
        CHECK_EQ(largest_difference(bench.weights.values(), weights), 0.0); // of the caller
        CHECK_EQ(largest_difference(bench.scales.values(), scales), 0.0);
        CHECK_EQ(status, fatal                        ? LNGD_DEVICE_LOST
                         : error == kMemoryAllocation ? LNGD_OUT_OF_MEMORY
                                                      : LNGD_DEVICE_ERROR);
        CHECK(names_a_call());
        if (fatal) says_lost(bench, lngd_last_error());
      }
      if (!fatal) {
        if (operation.repeatable && status != LNGD_OK) CHECK_OK(operation.run(bench));
        works_on(bench);
        if (operation.repeatable) {
          ends.push_back(bench.weights.values());
          scale_ends.push_back(bench.scales.values());
          phis.push_back(bench.optimizer.read(0, LNGD_FIELD_PHI));
        }
      }
    }
    hooks.reset_device();
    CHECK_EQ(hooks.live(), live);
    if (done) break;
    CHECK(n < kMost);
  }
  CHECK_GT(failed, 0);
  for (const twin::Matrix& end : ends) CHECK_EQ(largest_difference(end, ends.back()), 0.0);
  for (const twin::Matrix& end : scale_ends) CHECK_EQ(largest_difference(end, scale_ends.back()), 0.0);
  for (const std::vector<float>& phi : phis) CHECK(phi == phis.back());
}

} // namespace

TEST(faults_that_can_be_recovered_from) {
  const lngd::DeviceHooks& hooks = emulator_hooks();
  for (const Net net : kNets)
    for (const Operation& operation : operations())
      if (differs(operation, net)) fail_every_call(hooks, operation, net, kInvalidValue);
}

TEST(faults_out_of_memory) {
  const lngd::DeviceHooks& hooks = emulator_hooks();
  for (const Net net : kNets)
    for (const Operation& operation : operations())
      if (std::string(operation.name) == "plan_create" || std::string(operation.name) == "observe" ||
          (std::string(operation.name) == "share_inverses" && net == Net::Shared))
        fail_every_call(hooks, operation, net, kMemoryAllocation);
}

TEST(faults_that_lose_the_device) {
  const lngd::DeviceHooks& hooks = emulator_hooks();
  for (const Net net : kNets)
    for (const Operation& operation : operations())
      if (differs(operation, net)) fail_every_call(hooks, operation, net, kIllegalAddress);
}

TEST(faults_while_creating) {
  const lngd::DeviceHooks& hooks = emulator_hooks();
  const lngd_config config = fault_case(0).config;
  const lngd_layer_config layers[] = {dense(5, 3), dense(3, 4), dense(4, 2)};
  const int live = hooks.live();
  for (const int error : {kInvalidValue, kMemoryAllocation, kIllegalAddress}) {
    int failed = 0;
    for (int n = 1; n <= kMost; ++n) {
      const Scope scope("call " + std::to_string(n) + ", error " + std::to_string(error));
      hooks.inject_fault("*", n, error);
      lngd_optimizer* optimizer = nullptr;
      const lngd_status status = lngd_create(&config, layers, 3, &optimizer);
      const bool done = hooks.calls_counted() < n;
      hooks.inject_fault("", 0, 0);
      failed += status != LNGD_OK;
      if (status != LNGD_OK) {
        CHECK(optimizer == nullptr);
        CHECK_NE(std::string(lngd_last_error()), std::string());
      } else {
        CHECK_EQ(lngd_destroy(optimizer), LNGD_OK);
      }
      hooks.reset_device();
      CHECK_EQ(hooks.live(), live);
      if (done) break;
      CHECK(n < kMost);
    }
    CHECK_GT(failed, 10);
  }
}

// Destroying frees everything, whatever fails while it does.
TEST(faults_while_destroying) {
  const lngd::DeviceHooks& hooks = emulator_hooks();
  const int live = hooks.live();
  for (const int error : {kInvalidValue, kIllegalAddress})
    for (int n = 1; n <= kMost; ++n) {
      const Scope scope("call " + std::to_string(n) + ", error " + std::to_string(error));
      Case c = fault_case(0);
      lngd_optimizer* optimizer = nullptr;
      REQUIRE_OK(lngd_create(&c.config, c.layers.data(), 1, &optimizer));
      hooks.inject_fault("*", n, error);
      CHECK_OK(lngd_destroy(optimizer));
      const bool done = hooks.calls_counted() < n;
      hooks.reset_device();
      CHECK_EQ(hooks.live(), live);
      if (done) break;
    }
}

// The hook of the real library, which tests above the ABI use.
TEST(faults_from_the_environment) {
  device_hooks();
  const struct {
    const char* text;
    lngd_status status;
  } cases[] = {{"launch:1:1", LNGD_DEVICE_ERROR},
               {"cudaHostAlloc:1:2", LNGD_OUT_OF_MEMORY},
               {"cudaEventRecord:1:700", LNGD_DEVICE_LOST}};
  for (const auto& fault : cases) {
    const Scope scope(fault.text);
    setenv("LNGD_CUDA_FAULT", fault.text, 1);
    {
      Bench bench(Net::Dense);
      unsetenv("LNGD_CUDA_FAULT");
      lngd_status status = bench.observe();
      if (status == LNGD_OK) status = bench.make_plan();
      CHECK_EQ(status, fault.status);
      CHECK(names_a_call());
      if (fault.status != LNGD_DEVICE_LOST) works_on(bench);
    }
    unsetenv("LNGD_CUDA_FAULT");
  }
}
