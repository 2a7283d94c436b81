// SPDX-License-Identifier: Apache-2.0
//
// Handles: NULL, garbage, destroyed, of the other kind; plans die with their optimizer; messages are a thread's own;
// use from two threads at once.
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "single.hpp"

using namespace conformance;

namespace {

// Every function that takes an optimizer.
std::vector<lngd_status> call_all(lngd_optimizer* handle) {
  static Tensor inputs(4, 3), signal(4, 2);
  lngd_config config{};
  config.struct_size = sizeof config;
  lngd_health health{};
  int32_t precision = 0;
  health.struct_size = sizeof health;
  lngd_memory memory{};
  memory.struct_size = sizeof memory;
  lngd_times times{};
  times.struct_size = sizeof times;
  double value = 0;
  std::int32_t layers = 0;
  std::uint32_t bits = 0;
  std::int64_t count = 0;
  std::uint8_t buffer[64] = {};
  float floats[64] = {};
  lngd_plan* plan = nullptr;
  lngd_binding binding{};
  binding.weights = binding.weight_gradients = signal.view();
  const auto* a = static_cast<const float*>(inputs.view().data);
  return {lngd_set(handle, LNGD_SET_MU, 1e-8),
          lngd_get(handle, LNGD_SET_MU, &value),
          lngd_get_config(handle, &config),
          lngd_layer_count(handle, &layers),
          lngd_needs(handle, 0, &bits),
          lngd_observe(handle, 0, inputs.pointer(), signal.pointer(), 0),
          lngd_observe_strided(handle, 0, 4, a, 3, 1, a, 2, 1, 0),
          lngd_plan_create(handle, &binding, 1, 0, &plan),
          lngd_layer_health(handle, 0, &health),
          lngd_layer_precision(handle, 0, &precision),
          lngd_memory_report(handle, &memory),
          lngd_profile(handle, &times),
          lngd_layer_read(handle, 0, LNGD_FIELD_PHI, floats, 64, &count),
          lngd_layer_write(handle, 0, LNGD_FIELD_PSI, floats, 2),
          lngd_state_size(handle, &count),
          lngd_state_save(handle, buffer, 64, &count),
          lngd_state_restore(handle, buffer, 64),
          lngd_fisher_rows(handle, 0, 0, inputs.pointer(), signal.pointer(), 0, floats, nullptr, nullptr),
          lngd_destroy(handle)};
}

std::vector<lngd_status> call_all(lngd_plan* handle) {
  std::int32_t swapped = 0;
  return {lngd_step(handle, 1, nullptr), lngd_swap_averages(handle, &swapped), lngd_plan_destroy(handle)};
}

template <class Handle>
void all_invalid(Handle* handle) {
  for (const lngd_status status : call_all(handle)) CHECK_EQ(status, LNGD_INVALID_HANDLE);
  CHECK_NE(std::strlen(lngd_last_error()), std::size_t{0});
}

template <class To, class From>
To* disguise(From* handle) {
  return reinterpret_cast<To*>(handle);
}

} // namespace

TEST(handles_null_and_garbage) {
  all_invalid(static_cast<lngd_optimizer*>(nullptr));
  all_invalid(static_cast<lngd_plan*>(nullptr));
  int on_stack = 0;
  const std::uintptr_t values[] = {1,
                                   2,
                                   0x11,
                                   0x12,
                                   0xdeadbeef,
                                   ~std::uintptr_t{0},
                                   std::uintptr_t{1} << 63,
                                   reinterpret_cast<std::uintptr_t>(&on_stack)};
  for (const std::uintptr_t value : values) {
    const Scope scope("handle " + show(value));
    all_invalid(reinterpret_cast<lngd_optimizer*>(value));
    all_invalid(reinterpret_cast<lngd_plan*>(value));
  }
  Random random(21);
  for (int i = 0; i < 500; ++i) {
    const std::uintptr_t value = random.bits() >> (i % 60);
    all_invalid(reinterpret_cast<lngd_plan*>(value));
  }
}

TEST(handles_destroyed_and_confused) {
  lngd_config config = preset(LNGD_PRESET_RECIPE);
  const lngd_layer_config layer = dense(3, 2);
  lngd_optimizer* optimizer = nullptr;
  REQUIRE_OK(lngd_create(&config, &layer, 1, &optimizer));
  Tensor weights(2, 3), gradients(2, 3), bias(2), bias_gradients(2);
  lngd_binding binding{};
  binding.weights = weights.view();
  binding.bias = bias.view();
  binding.weight_gradients = gradients.view();
  binding.bias_gradients = bias_gradients.view();
  lngd_plan *one = nullptr, *two = nullptr;
  REQUIRE_OK(lngd_plan_create(optimizer, &binding, 1, LNGD_UPDATE_WEIGHTS, &one));
  REQUIRE_OK(lngd_plan_create(optimizer, &binding, 1, LNGD_UPDATE_WEIGHTS, &two));

  all_invalid(disguise<lngd_optimizer>(one));
  all_invalid(disguise<lngd_plan>(optimizer));
  CHECK_OK(lngd_step(one, 1, nullptr)); // none of that did any harm

  CHECK_OK(lngd_plan_destroy(one));
  all_invalid(one);
  CHECK_OK(lngd_step(two, 1, nullptr));
  CHECK_OK(lngd_destroy(optimizer));
  all_invalid(optimizer);
  all_invalid(two); // went with its optimizer

  // A new optimizer may take the place of the old one: the old handles stay dead.
  lngd_optimizer* later = nullptr;
  REQUIRE_OK(lngd_create(&config, &layer, 1, &later));
  CHECK(later != optimizer);
  all_invalid(optimizer);
  all_invalid(one);
  all_invalid(two);
  std::int32_t layers = 0;
  CHECK_OK(lngd_layer_count(later, &layers));
  CHECK_EQ(layers, 1);
  CHECK_OK(lngd_destroy(later));
}

// A long life of creating and destroying uses nothing up, and a dead handle stays dead when its place is taken again:
// more rounds than there are places (2^14 live handles are allowed).
TEST(handles_do_not_run_out_and_do_not_come_back) {
  lngd_config config = preset(LNGD_PRESET_RECIPE);
  const lngd_layer_config layer = dense(1, 1);
  lngd_optimizer* dead = nullptr;
  REQUIRE_OK(lngd_create(&config, &layer, 1, &dead));
  REQUIRE_OK(lngd_destroy(dead));
  int revived = 0, failed = 0;
  for (int i = 0; i < 17000; ++i) {
    lngd_optimizer* optimizer = nullptr;
    failed += lngd_create(&config, &layer, 1, &optimizer) != LNGD_OK;
    std::int32_t layers = 0;
    revived += lngd_layer_count(dead, &layers) != LNGD_INVALID_HANDLE;
    failed += lngd_destroy(optimizer) != LNGD_OK;
  }
  CHECK_EQ(revived, 0);
  CHECK_EQ(failed, 0);
}

TEST(errors_belong_to_their_thread) {
  CHECK_EQ(lngd_config_init(-1, 0, nullptr), LNGD_INVALID_ARGUMENT);
  const std::string mine = lngd_last_error();
  std::thread([] {
    CHECK_EQ(std::string(lngd_last_error()), std::string());
    lngd_philox(nullptr, nullptr, nullptr);
    CHECK_NE(std::string(lngd_last_error()), std::string());
  }).join();
  CHECK_EQ(std::string(lngd_last_error()), mine);
  lngd_config config;
  CHECK_OK(lngd_config_init(LNGD_PRESET_PAPER, 0, &config));
  CHECK_EQ(std::string(lngd_last_error()), mine); // a call that works leaves it
}

// Two threads on one optimizer: each call works or says BUSY, nothing else, and nothing crashes.
TEST(concurrent_use_of_one_optimizer_is_busy_or_ok) {
  lngd_config config = preset(LNGD_PRESET_RECIPE);
  config.statistics_interval = 1;
  config.inverse_interval = 1;
  config.threads = 2;
  Single one(config, dense(60, 30));
  std::atomic<int> fine{0}, busy{0}, other{0};
  std::atomic<bool> go{false};
  const auto work = [&](std::uint64_t seed) {
    Tensor inputs(20, 60), signal(20, 30);
    Random random(seed);
    inputs.fill(random_matrix(20, 60, &random));
    signal.fill(random_matrix(20, 30, &random));
    while (!go) std::this_thread::yield();
    const auto count = [&](lngd_status status) {
      ++(status == LNGD_OK ? fine : status == LNGD_BUSY ? busy : other);
      if (status != LNGD_OK && status != LNGD_BUSY) fail(__FILE__, __LINE__, lngd_last_error());
    };
    for (int i = 0; i < 200; ++i) {
      count(lngd_observe(one.optimizer.handle(), 0, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
      count(lngd_step(one.plan, 1, nullptr));
      double value = 0;
      count(lngd_get(one.optimizer.handle(), LNGD_SET_MU, &value));
    }
  };
  std::thread a(work, 1), b(work, 2), c(work, 3);
  go = true;
  a.join();
  b.join();
  c.join();
  CHECK_EQ(other.load(), 0);
  CHECK_EQ(fine.load() + busy.load(), 3 * 3 * 200);
  CHECK_GT(fine.load(), 0);
  CHECK(twin::finite(one.weights.values()));
}

// While a call that takes milliseconds is in progress, a second one is turned away at once.
TEST(concurrent_call_during_a_long_one_is_busy) {
  constexpr std::int64_t n = 600;
  lngd_config config = bare_config();
  Single one(config, dense(n, 1, false));
  std::vector<float> phi(static_cast<std::size_t>(n * n), 0.0f);
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) phi[i * (static_cast<std::size_t>(n) + 1)] = 1;
  one.write(LNGD_FIELD_PHI, phi);
  one.write(LNGD_FIELD_PSI, {1.0f});
  bool seen = false;
  for (int attempt = 0; attempt < 100 && !seen; ++attempt) {
    std::atomic<bool> done{false};
    lngd_status stepped = LNGD_INTERNAL;
    std::thread worker([&] {
      stepped = lngd_step(one.plan, 1, nullptr);
      done = true;
    });
    while (!done && !seen) {
      double value = 0;
      seen = lngd_get(one.optimizer.handle(), LNGD_SET_MU, &value) == LNGD_BUSY;
      std::this_thread::yield();
    }
    worker.join();
    // The poll may have been inside at that moment.
    CHECK(stepped == LNGD_OK || stepped == LNGD_BUSY);
  }
  CHECK(seen);
  CHECK_NE(std::string(lngd_last_error()), std::string());
}

// Threads with an optimizer each never meet: no call may say BUSY, whatever the others create and destroy.
TEST(concurrent_optimizers_do_not_disturb_each_other) {
  std::atomic<int> bad{0};
  const auto work = [&bad](std::uint64_t seed) {
    lngd_config config = preset(LNGD_PRESET_RECIPE);
    config.statistics_interval = 1;
    Tensor inputs(4, 3), signal(4, 2), weights(2, 3), gradients(2, 3);
    Random random(seed);
    inputs.fill(random_matrix(4, 3, &random));
    signal.fill(1.0);
    gradients.fill(1.0);
    lngd_binding binding{};
    binding.weights = weights.view();
    binding.weight_gradients = gradients.view();
    const lngd_layer_config layer = dense(3, 2, false);
    const auto check = [&bad](lngd_status status) {
      if (status == LNGD_OK) return;
      ++bad;
      fail(__FILE__, __LINE__, std::string(lngd_status_name(status)) + ": " + lngd_last_error());
    };
    for (int i = 0; i < (quick() ? takes(1, 2) ? 200 : 20 : 1500); ++i) {
      lngd_optimizer* optimizer = nullptr;
      check(lngd_create(&config, &layer, 1, &optimizer));
      lngd_plan* plan = nullptr;
      check(lngd_plan_create(optimizer, &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
      check(lngd_observe(optimizer, 0, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
      check(lngd_step(plan, 1, nullptr));
      if (i % 2 == 0) check(lngd_plan_destroy(plan));
      check(lngd_destroy(optimizer));
    }
  };
  std::thread a(work, 1), b(work, 2), c(work, 3);
  a.join();
  b.join();
  c.join();
  CHECK_EQ(bad.load(), 0);
}

// One thread steps while another destroys: OK, BUSY or an invalid handle, never a crash.
TEST(concurrent_destroy_while_in_use) {
  for (int round = 0; round < (quick() ? 20 : 150); ++round) {
    lngd_config config = preset(LNGD_PRESET_RECIPE);
    const lngd_layer_config layer = dense(40, 20, false);
    lngd_optimizer* optimizer = nullptr;
    REQUIRE_OK(lngd_create(&config, &layer, 1, &optimizer));
    Tensor inputs(10, 40), signal(10, 20), weights(20, 40), gradients(20, 40);
    inputs.fill(1.0);
    signal.fill(1.0);
    gradients.fill(1.0);
    lngd_binding binding{};
    binding.weights = weights.view();
    binding.weight_gradients = gradients.view();
    lngd_plan* plan = nullptr;
    REQUIRE_OK(lngd_plan_create(optimizer, &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
    std::atomic<bool> stop{false};
    std::thread user([&] {
      const lngd_tensor a = inputs.view(), s = signal.view();
      while (!stop) {
        for (const lngd_status status :
             {lngd_observe(optimizer, 0, &a, &s, LNGD_SIGNAL_PRE_ACTIVATIONS), lngd_step(plan, 1, nullptr)})
          if (status != LNGD_OK && status != LNGD_BUSY && status != LNGD_INVALID_HANDLE)
            fail(__FILE__, __LINE__, lngd_last_error());
        if (lngd_step(plan, 1, nullptr) == LNGD_INVALID_HANDLE) return;
      }
    });
    lngd_status status = LNGD_BUSY;
    for (long tries = 0; status == LNGD_BUSY && tries < 10000000; ++tries) {
      status = lngd_destroy(optimizer);
      if (status == LNGD_BUSY) std::this_thread::yield();
    }
    stop = true;
    user.join();
    CHECK_EQ(status, LNGD_OK);
  }
}
