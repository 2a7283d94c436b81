// SPDX-License-Identifier: Apache-2.0
//
// The known-answer check at a device's first use: what it refuses, what AUTO makes of that, and where it is said. Wrong
// answers are planted by $LNGD_CUDA_WRONG_ANSWER. The tests of AUTO need the library under test to be that of
// LNGD_DEVICE_CUDA: on a GPU, or with the emulator's library named by $LNGD_CUDA_LIBRARY (the CTest conformance_auto).
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "device.hpp"

using namespace conformance;

namespace {

constexpr const char* kAnswers[] = {"cp_async_16",       "cp_async_4", "ldmatrix_x4",
                                    "ldmatrix_x4_trans", "mma_tf32",   "mma_bf16",
                                    "to_tf32",           "pack_bf16",  "step"};

// A device that nothing is known of, whose answer of that name is wrong (nullptr: all are right), while this lives.
class Planted {
 public:
  explicit Planted(const char* answer) : hooks_(device_hooks()) {
    if (answer) setenv("LNGD_CUDA_WRONG_ANSWER", answer, 1);
    hooks_.forget_answers();
  }
  ~Planted() {
    unsetenv("LNGD_CUDA_WRONG_ANSWER");
    hooks_.forget_answers();
  }
  Planted(const Planted&) = delete;
  Planted& operator=(const Planted&) = delete;

 private:
  const lngd::DeviceHooks& hooks_;
};

lngd_config config_for(int which) {
  lngd_config config = preset(LNGD_PRESET_RECIPE);
  config.device = which;
  return config;
}

// The status of lngd_create, and the device that it chose.
int create(const lngd_config& config, int* chosen = nullptr) {
  const lngd_layer_config layer = dense(3, 2);
  lngd_optimizer* optimizer = nullptr;
  const lngd_status status = lngd_create(&config, &layer, 1, &optimizer);
  if (status != LNGD_OK) return status;
  lngd_config now{};
  now.struct_size = sizeof now;
  CHECK_OK(lngd_get_config(optimizer, &now));
  if (chosen) *chosen = now.device;
  CHECK_OK(lngd_destroy(optimizer));
  return status;
}

lngd_backend_description describe(int which) {
  lngd_backend_description info{};
  info.struct_size = sizeof info;
  REQUIRE_OK(lngd_backend_info(which, &info));
  return info;
}

bool has(const char* text, const std::string& part) { return std::string(text).find(part) != std::string::npos; }

void need_cuda() {
  if (device() != LNGD_DEVICE_CUDA) skip("for --device cuda");
  require_cpu_backend();
}

} // namespace

TEST(device_check_refuses_every_wrong_answer) {
  const lngd::DeviceHooks& hooks = device_hooks();
  const int live = hooks.live ? hooks.live() : 0;
  for (const char* const answer : kAnswers) {
    const Scope scope(answer);
    const Planted planted(answer);
    CHECK_EQ(create(config_for(device())), LNGD_BACKEND_UNAVAILABLE);
    CHECK(has(lngd_last_error(), "device 0 computes wrong answers"));
    CHECK(has(lngd_last_error(), answer));
    std::int32_t chosen = -1;
    const lngd_config config = config_for(device());
    CHECK_EQ(lngd_choose_device(&config, &chosen, nullptr, 0), LNGD_BACKEND_UNAVAILABLE);
    CHECK_EQ(chosen, -1);
    const lngd_backend_description info = describe(device());
    CHECK_EQ(info.available, 0);
    CHECK(has(info.reason, answer));
    // Once and for all: it is not asked again.
    unsetenv("LNGD_CUDA_WRONG_ANSWER");
    CHECK_EQ(create(config_for(device())), LNGD_BACKEND_UNAVAILABLE);
    if (hooks.live) CHECK_EQ(hooks.live(), live);
  }
}

TEST(device_check_passes_and_is_not_repeated) {
  const lngd::DeviceHooks& hooks = device_hooks();
  const Planted planted(nullptr);
  CHECK_EQ(describe(device()).available, 1); // nothing is known against it, and nothing was asked
  CHECK_EQ(create(config_for(device())), LNGD_OK);
  setenv("LNGD_CUDA_WRONG_ANSWER", "step", 1);
  CHECK_EQ(create(config_for(device())), LNGD_OK);
  CHECK_EQ(describe(device()).available, 1);
  CHECK_EQ(std::string(describe(device()).reason), std::string());
  if (!hooks.inject_fault) return;
  unsetenv("LNGD_CUDA_WRONG_ANSWER");
  const lngd_config config = config_for(device());
  std::int32_t chosen = -1;
  hooks.inject_fault("launch", 0, 0);
  CHECK_OK(lngd_choose_device(&config, &chosen, nullptr, 0));
  CHECK_EQ(hooks.calls_counted(), 0);
  CHECK_EQ(chosen, device());
  hooks.inject_fault("", 0, 0);
}

// A call that fails is no answer: the next use asks again. Whatever fails, nothing is left behind.
TEST(device_check_that_could_not_be_made) {
  const lngd::DeviceHooks& hooks = emulator_hooks();
  const int live = hooks.live();
  int refused = 0;
  for (const int error : {2, 700})
    for (int n = 1; n < 400; ++n) {
      if (!takes(n, 5)) continue;
      const Scope scope("call " + std::to_string(n) + ", error " + std::to_string(error));
      const Planted planted(nullptr);
      const lngd_config config = config_for(device());
      std::int32_t chosen = -1;
      hooks.inject_fault("*", n, error);
      const int status = lngd_choose_device(&config, &chosen, nullptr, 0);
      const bool done = hooks.calls_counted() < n;
      hooks.inject_fault("", 0, 0);
      if (status != LNGD_OK) {
        ++refused;
        // Looking at the device comes first, and tells its failure in its own words.
        CHECK(status == LNGD_BACKEND_UNAVAILABLE || has(lngd_last_error(), "device 0 could not be checked: "));
        CHECK(error != 2 || status == LNGD_BACKEND_UNAVAILABLE || status == LNGD_OUT_OF_MEMORY);
      }
      hooks.reset_device();
      CHECK_EQ(hooks.live(), live);
      if (n % 4 == 0) CHECK_EQ(create(config), LNGD_OK);
      if (done) break;
      CHECK(n < 395);
    }
  CHECK_GT(refused, 20);
}

TEST(device_check_from_many_threads) {
  device_hooks();
  for (const char* const answer : {static_cast<const char*>(nullptr), "mma_tf32"}) {
    const Planted planted(answer);
    std::vector<std::thread> threads;
    std::vector<int> statuses(4, -1);
    for (int& status : statuses) threads.emplace_back([&status] { status = create(config_for(device())); });
    for (std::thread& thread : threads) thread.join();
    for (const int status : statuses) CHECK_EQ(status, answer ? LNGD_BACKEND_UNAVAILABLE : LNGD_OK);
  }
}

TEST(device_check_arguments) {
  std::int32_t chosen = -1;
  char reason[8] = "before";
  const lngd_config config = config_for(device());
  CHECK_EQ(lngd_choose_device(nullptr, &chosen, nullptr, 0), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_choose_device(&config, nullptr, nullptr, 0), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_choose_device(&config, &chosen, nullptr, 8), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_choose_device(&config, &chosen, reason, -1), LNGD_INVALID_ARGUMENT);
  lngd_config wrong = config;
  wrong.device = 7;
  CHECK_EQ(lngd_choose_device(&wrong, &chosen, reason, sizeof reason), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(chosen, -1);
  CHECK_OK(lngd_choose_device(&config, &chosen, reason, sizeof reason));
  CHECK_EQ(chosen, device());
  CHECK_EQ(std::string(reason), std::string());
}

TEST(auto_takes_a_device_that_gives_known_answers) {
  need_cuda();
  const Planted planted(nullptr);
  int chosen = -1;
  CHECK_EQ(create(config_for(LNGD_DEVICE_AUTO), &chosen), LNGD_OK);
  CHECK_EQ(chosen, static_cast<int>(LNGD_DEVICE_CUDA));
}

TEST(auto_takes_the_cpu_where_answers_are_wrong) {
  need_cuda();
  for (const char* const answer : {"ldmatrix_x4", "step"}) {
    const Planted planted(answer);
    const lngd_config config = config_for(LNGD_DEVICE_AUTO);
    std::int32_t device = -1;
    char reason[512] = "";
    CHECK_OK(lngd_choose_device(&config, &device, reason, sizeof reason));
    CHECK_EQ(device, static_cast<int>(LNGD_DEVICE_CPU));
    CHECK(has(reason, "wrong answers") && has(reason, answer));
    char cut[20] = "";
    CHECK_OK(lngd_choose_device(&config, &device, cut, sizeof cut));
    CHECK_EQ(std::string(cut), std::string(reason).substr(0, sizeof cut - 1));
    int chosen = -1;
    CHECK_EQ(create(config, &chosen), LNGD_OK);
    CHECK_EQ(chosen, static_cast<int>(LNGD_DEVICE_CPU));
    CHECK_EQ(create(config_for(LNGD_DEVICE_CUDA)), LNGD_BACKEND_UNAVAILABLE);
  }
}

// AUTO looks at the device that it was told, and a device that does not exist is a mistake and no reason for the CPU.
TEST(auto_looks_at_the_device_of_the_configuration) {
  need_cuda();
  const Planted planted(nullptr);
  lngd_config config = config_for(LNGD_DEVICE_AUTO);
  config.device_index = 1000;
  CHECK_EQ(create(config), LNGD_INVALID_ARGUMENT);
  CHECK(has(lngd_last_error(), "device_index"));
}
