// SPDX-License-Identifier: Apache-2.0
//
// What calls on one device do to the thread's current device and to the other devices: nothing. On the emulator, which
// has two devices and knows which of them has a context.
#include <thread>

#include "device.hpp"

using namespace conformance;

namespace {

constexpr std::int64_t kRows = 3, kColumns = 5, kSamples = 4;
constexpr int kDevice = 1;

lngd_config device_config(int rate) {
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.device_index = kDevice;
  config.rate = rate;
  return config;
}

// Every function that uses a device, after each of which `check` looks.
template <class Check>
void call_everything(const lngd::DeviceHooks& hooks, Check check) {
  const auto done = [&check](int status, const char* what) {
    const Scope scope(what);
    CHECK_OK(status);
    check();
  };
  Tensor weights(kRows, kColumns), gradients(kRows, kColumns), inputs(kSamples, kColumns), signal(kSamples, kRows);
  Random random(4);
  for (Tensor* tensor : {&weights, &gradients, &inputs, &signal})
    tensor->fill(random_matrix(tensor->rows(), tensor->cols(), &random));
  const lngd_config config = device_config(LNGD_RATE_EMPIRICAL);
  const lngd_layer_config layer = dense(kColumns, kRows, false, LNGD_ACTIVATION_TANH);
  lngd_optimizer* optimizer = nullptr;
  done(lngd_create(&config, &layer, 1, &optimizer), "create");
  lngd_backend_description info{};
  info.struct_size = sizeof info;
  done(lngd_backend_info(device(), &info), "backend_info");
  void* memory = nullptr;
  done(lngd_device_allocate(optimizer, kRows * kColumns * 4, &memory), "device_allocate");
  const std::vector<float> zeros(kRows * kColumns, 0.0f);
  done(lngd_device_copy(optimizer, memory, zeros.data(), kRows * kColumns * 4), "device_copy");
  lngd_binding binding{};
  binding.weights = weights.view();
  binding.weight_gradients = gradients.view();
  binding.weight_gradients.data = memory; // one tensor on the device, one on the host
  binding.weight_gradients.device_type = 2;
  binding.weight_gradients.device_id = kDevice;
  binding.weight_gradients.byte_offset = 0;
  lngd_plan* plan = nullptr;
  done(lngd_plan_create(optimizer, &binding, 1, LNGD_UPDATE_WEIGHTS, &plan), "plan_create");
  const lngd_samples samples{inputs.view(), signal.view()};
  for (int step = 0; step < 2; ++step) {
    done(lngd_observe(optimizer, 0, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS), "observe");
    if (step == 1) done(lngd_refresh(plan), "refresh");
    done(lngd_step(plan, 1, &samples), "step");
  }
  std::int32_t allowed = 0;
  done(lngd_replay(plan, 1, &allowed), "replay");
  done(lngd_swap_averages(plan, nullptr), "swap_averages");
  done(lngd_swap_averages(plan, nullptr), "swap_averages");
  float q[kSamples * kRows];
  done(lngd_fisher_rows(optimizer, 0, 0, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS, q, nullptr,
                        nullptr),
       "fisher_rows");
  lngd_health health{};
  health.struct_size = sizeof health;
  done(lngd_layer_health(optimizer, 0, &health), "layer_health");
  std::vector<float> values(kRows * kColumns);
  done(lngd_layer_read(optimizer, 0, LNGD_FIELD_MOMENTUM, values.data(), kRows * kColumns, nullptr), "layer_read");
  done(lngd_layer_write(optimizer, 0, LNGD_FIELD_MOMENTUM, values.data(), kRows * kColumns), "layer_write");
  std::int64_t bytes = 0;
  done(lngd_state_size(optimizer, &bytes), "state_size");
  std::vector<std::uint8_t> state(static_cast<std::size_t>(bytes));
  done(lngd_state_save(optimizer, state.data(), bytes, nullptr), "state_save");
  done(lngd_state_restore(optimizer, state.data(), bytes), "state_restore");
  done(lngd_synchronize(optimizer), "synchronize");
  // From a thread that has no current device.
  std::thread([&] {
    CHECK_OK(lngd_step(plan, 1, &samples));
    CHECK_OK(lngd_set_stream(optimizer, nullptr));
    CHECK_EQ(hooks.current_device(), -1);
  }).join();
  done(LNGD_OK, "another thread");
  // And a call that fails.
  hooks.inject_fault("launch", 1, 1);
  CHECK_EQ(lngd_step(plan, 1, &samples), LNGD_DEVICE_ERROR);
  hooks.inject_fault("", 0, 0);
  done(LNGD_OK, "a failure");
  done(lngd_device_free(optimizer, memory), "device_free");
  done(lngd_plan_destroy(plan), "plan_destroy");
  done(lngd_destroy(optimizer), "destroy");
}

} // namespace

TEST(device_scope_makes_no_context_on_another_device) {
  const lngd::DeviceHooks& hooks = emulator_hooks();
  hooks.forget_contexts();
  call_everything(hooks, [&hooks] {
    CHECK(!hooks.has_context(0));
    CHECK_EQ(hooks.current_device(), -1); // the caller has chosen none, so his next call chooses device 0
  });
  CHECK(hooks.has_context(kDevice));
}

TEST(device_scope_gives_the_callers_device_back) {
  const lngd::DeviceHooks& hooks = emulator_hooks();
  for (const int chosen : {0, kDevice}) {
    const Scope scope("the caller's device is " + std::to_string(chosen));
    hooks.forget_contexts();
    hooks.set_device(chosen);
    call_everything(hooks, [&hooks, chosen] {
      CHECK_EQ(hooks.current_device(), chosen);
      CHECK(hooks.has_context(0) == (chosen == 0));
    });
  }
  hooks.forget_contexts();
}
