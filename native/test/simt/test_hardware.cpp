// SPDX-License-Identifier: Apache-2.0
// The device that the emulator stands for: its limits, its name, the shared memory and the loading of kernels.
#include <cstdlib>
#include <string>

#include "harness.hpp"
#include "runtime_kernels.hpp"
#include "simt.hpp"

TEST(shared_memory_limits_are_enforced) {
  const Clean clean;
  const struct {
    const char* device;
    int limit;
  } cases[] = {{"sm_80", 166912}, {"sm_86", 101376}, {"sm_89", 101376}, {"sm_90", 232448}, {"sm_120", 101376}};
  for (const auto& c : cases) {
    REQUIRE(simt::set_device(c.device));
    CHECK_EQ(touch_shared(48 * 1024), cudaSuccess);
    CHECK_EQ(touch_shared(48 * 1024 + 16), cudaErrorInvalidValue); // not asked for
    CHECK_EQ(allow_shared(c.limit), cudaSuccess);
    CHECK_EQ(touch_shared(static_cast<size_t>(c.limit)), cudaSuccess);
    CHECK_EQ(touch_shared(static_cast<size_t>(c.limit) + 16), cudaErrorInvalidValue);
    CHECK_EQ(allow_shared(c.limit + 1), cudaErrorInvalidValue);
    CHECK_EQ(allow_shared(1024), cudaSuccess);
    CHECK_EQ(touch_shared(1040), cudaErrorInvalidValue); // more than was asked for last
  }
  CHECK_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

// __shared__ variables count: 4,017 bytes in three of them, 4,032 in steps of 16, as nvcc says of the same kernel.
TEST(static_shared_memory_counts) {
  const Clean clean;
  simt::catch_guard_pages();
  cudaFuncAttributes attributes;
  CHECK_EQ(static_shared_attributes(attributes), cudaSuccess);
  CHECK_EQ(attributes.sharedSizeBytes, size_t{4032});
  CHECK_EQ(attributes.maxDynamicSharedSizeBytes, 48 * 1024 - 4032);
  CHECK_EQ(touch_static_and_dynamic(48 * 1024 - 4032), cudaSuccess);
  CHECK_EQ(touch_static_and_dynamic(48 * 1024 - 4032 + 16), cudaErrorInvalidValue);
  REQUIRE(simt::set_device("sm_86"));
  CHECK_EQ(allow_static_and_dynamic(101376 - 4032 + 1), cudaErrorInvalidValue);
  CHECK_EQ(allow_static_and_dynamic(101376 - 4032), cudaSuccess);
  CHECK_EQ(touch_static_and_dynamic(101376 - 4032), cudaSuccess);
  CHECK_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST(the_device_is_what_was_asked_for) {
  const Clean clean;
  const std::string before = simt::device().name;
  CHECK(!simt::set_device("sm_87"));
  CHECK(!simt::set_device("sm_86:0"));
  CHECK(!simt::set_device("sm_86:x"));
  CHECK_EQ(simt::device().name, before); // as it was
  REQUIRE(simt::set_device("sm_120"));
  cudaDeviceProp properties;
  REQUIRE(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
  CHECK_EQ(properties.multiProcessorCount, 170);
  CHECK_EQ(properties.major, 12);
  CHECK_EQ(properties.l2CacheSize, 96 << 20);
  int value = 0;
  CHECK_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMaxThreadsPerMultiProcessor, 0), cudaSuccess);
  CHECK_EQ(value, 1536);
  CHECK_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerMultiprocessor, 0), cudaSuccess);
  CHECK_EQ(value, 102400);
  REQUIRE(simt::set_device("sm_86:3"));
  CHECK_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0), cudaSuccess);
  CHECK_EQ(value, 3);
  CHECK_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMinor, 0), cudaSuccess);
  CHECK_EQ(value, 6);
}

// A name that is none: the runtime shows no device, and says why.
TEST(the_environment_names_the_device) {
  const Clean clean;
  const char* const before = std::getenv("LNGD_SIMT_DEVICE");
  const std::string kept = before ? before : "";
  int count = 0;
  setenv("LNGD_SIMT_DEVICE", "sm_90:7", 1);
  CHECK(simt::set_device(nullptr));
  CHECK_EQ(simt::device().multiprocessors, 7);
  setenv("LNGD_SIMT_DEVICE", "sm_99", 1);
  CHECK(!simt::set_device(nullptr));
  CHECK_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  CHECK(std::string(cudaGetErrorString(cudaErrorNoDevice)).find("LNGD_SIMT_DEVICE is \"sm_99\", allowed is sm_80,") ==
        0);
  if (before) {
    setenv("LNGD_SIMT_DEVICE", kept.c_str(), 1);
  } else {
    unsetenv("LNGD_SIMT_DEVICE");
  }
}

// Loading may allocate, so a kernel's first launch is nothing for a capture.
TEST(kernels_are_loaded_before_a_capture) {
  const Clean clean;
  cudaStream_t stream;
  float* values = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaMalloc(&values, 64 * 4);
  CHECK_EQ(fill(values, 32, 1.0f, nullptr), cudaSuccess);
  CHECK_EQ(cudaDeviceSynchronize(), cudaSuccess);
  const auto capture = [&] {
    CHECK_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    const cudaError_t launched = double_into(values, values + 32, 32, stream);
    cudaGraph_t graph = nullptr;
    const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
    CHECK_EQ(ended, launched == cudaSuccess ? cudaSuccess : cudaErrorStreamCaptureInvalidated);
    if (graph) cudaGraphDestroy(graph);
    return launched;
  };
  simt::set_device(nullptr); // nothing is loaded
  CHECK_EQ(capture(), cudaErrorStreamCaptureUnsupported);
  CHECK_EQ(capture(), cudaErrorStreamCaptureUnsupported); // and still is not
  CHECK(simt::first_late_kernel().find("double_kernel") != std::string::npos);
  simt::set_device(nullptr);
  CHECK_EQ(load_double(), cudaSuccess);
  CHECK_EQ(capture(), cudaSuccess);
  CHECK_EQ(simt::first_late_kernel(), std::string());
  // On another device of the process it is not loaded yet.
  cudaStream_t elsewhere;
  CHECK_EQ(cudaSetDevice(1), cudaSuccess);
  CHECK_EQ(cudaStreamCreateWithFlags(&elsewhere, cudaStreamNonBlocking), cudaSuccess);
  CHECK_EQ(double_into(values, values + 32, 32, elsewhere), cudaSuccess);
  CHECK(simt::first_late_kernel().find("double_kernel") != std::string::npos);
  CHECK_EQ(cudaStreamDestroy(elsewhere), cudaSuccess);
  CHECK_EQ(cudaSetDevice(0), cudaSuccess);
  simt::set_device(nullptr);
  CHECK_EQ(fill(values, 32, 1.0f, nullptr), cudaSuccess);
  CHECK_EQ(double_into(values, values + 32, 32, nullptr), cudaSuccess); // or an earlier launch loads it
  CHECK_EQ(capture(), cudaSuccess);
  CHECK_EQ(cudaDeviceSynchronize(), cudaSuccess);
  cudaStreamDestroy(stream);
  cudaFree(values);
}
