// SPDX-License-Identifier: Apache-2.0
// The emulated runtime API itself: what tests of the CUDA backend will rely on. Kernels are in runtime_kernels.cu.
#include <cmath>
#include <string>
#include <vector>

#include "harness.hpp"
#include "runtime_kernels.hpp"
#include "simt.hpp"

using simt::Order;

TEST(memory_starts_as_nan_and_is_counted) {
  const Clean clean;
  const simt::Live before = simt::live();
  float *device = nullptr, *pinned = nullptr;
  REQUIRE(cudaMalloc(&device, 100 * sizeof(float)) == cudaSuccess);
  REQUIRE(cudaMallocHost(&pinned, 100 * sizeof(float)) == cudaSuccess);
  CHECK(std::isnan(pinned[99]));
  CHECK_EQ(simt::live().device_allocations, before.device_allocations + 1);
  CHECK_EQ(simt::live().host_allocations, before.host_allocations + 1);
  CHECK_EQ(simt::live().device_bytes, before.device_bytes + 400);
  cudaPointerAttributes attributes;
  CHECK_EQ(cudaPointerGetAttributes(&attributes, device + 5), cudaSuccess);
  CHECK_EQ(attributes.type, cudaMemoryTypeDevice);
  CHECK_EQ(cudaFree(pinned), cudaErrorInvalidValue); // not its kind
  CHECK_EQ(cudaFree(device + 1), cudaErrorInvalidValue);
  CHECK_EQ(cudaFree(device), cudaSuccess);
  CHECK_EQ(cudaFree(device), cudaErrorInvalidValue); // twice
  CHECK_EQ(cudaFreeHost(pinned), cudaSuccess);
  CHECK_EQ(simt::live().device_allocations, before.device_allocations);
  CHECK_EQ(cudaMalloc(&device, size_t{1} << 40), cudaErrorMemoryAllocation);
}

TEST(copies_that_leave_an_allocation_are_refused) {
  const Clean clean;
  float* device = nullptr;
  REQUIRE(cudaMalloc(&device, 40) == cudaSuccess);
  std::vector<float> host(11, 1.0f);
  CHECK_EQ(cudaMemcpy(device, host.data(), 44, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  CHECK_EQ(cudaMemcpy(device, host.data(), 40, cudaMemcpyDeviceToHost), cudaErrorInvalidValue); // wrong direction
  CHECK_EQ(cudaMemcpy(device, host.data(), 40, cudaMemcpyHostToDevice), cudaSuccess);
  CHECK_EQ(cudaMemset(device, 0, 44), cudaErrorInvalidValue);
  CHECK_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  CHECK_EQ(cudaGetLastError(), cudaSuccess); // that was not a sticky one
  cudaFree(device);
}

TEST(bad_launches_are_refused) {
  const Clean clean;
  CHECK_EQ(launch_blocks(0, 32), cudaErrorInvalidConfiguration);
  CHECK_EQ(launch_blocks(1, 0), cudaErrorInvalidConfiguration);
  CHECK_EQ(launch_blocks(1, 1056), cudaErrorInvalidConfiguration);
  CHECK_EQ(launch_blocks(3, 1024), cudaSuccess);
  CHECK_EQ(launch_blocks(1, 40), cudaErrorInvalidConfiguration); // our own rule, so it is reported as well
  CHECK_EQ(simt::take_reports().size(), size_t{1});
}

// A consumer on another stream, with and without an event. Without, it may come first.
TEST(streams_are_ordered_by_events_only) {
  const Clean clean;
  for (const bool with_event : {true, false}) {
    int stale = 0;
    for (const Order order : {Order::Forward, Order::Reverse, Order::Random, Order::Random}) {
      simt::set_schedule(order, 7u + static_cast<unsigned>(stale));
      float* values = nullptr;
      cudaStream_t first, second;
      cudaEvent_t ready;
      cudaMalloc(&values, 64 * 4);
      cudaMemset(values, 0, 64 * 4);
      cudaDeviceSynchronize(); // the streams below do not wait for the default stream
      cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking);
      cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking);
      cudaEventCreateWithFlags(&ready, cudaEventDisableTiming);
      CHECK_EQ(fill(values, 32, 3.0f, first), cudaSuccess);
      cudaEventRecord(ready, first);
      if (with_event) cudaStreamWaitEvent(second, ready);
      CHECK_EQ(double_into(values, values + 32, 32, second), cudaSuccess);
      CHECK_EQ(cudaStreamSynchronize(second), cudaSuccess);
      float result = 0;
      cudaMemcpy(&result, values + 32, 4, cudaMemcpyDeviceToHost);
      if (with_event) {
        CHECK_EQ(result, 6.0f);
      } else {
        stale += result != 6.0f;
      }
      CHECK_EQ(cudaDeviceSynchronize(), cudaSuccess);
      CHECK_EQ(cudaEventQuery(ready), cudaSuccess);
      cudaEventDestroy(ready);
      cudaStreamDestroy(first);
      cudaStreamDestroy(second);
      cudaFree(values);
    }
    if (!with_event) CHECK_GE(stale, 1);
  }
  CHECK_EQ(simt::live().streams, 0);
  CHECK_EQ(simt::live().events, 0);
}

// Pinned memory is read when the copy happens, so it must not be changed before.
TEST(late_streams_show_a_missing_synchronisation) {
  const Clean clean;
  simt::set_schedule(Order::Reverse);
  float *pinned = nullptr, *device = nullptr;
  cudaStream_t stream;
  cudaMallocHost(&pinned, 4);
  cudaMalloc(&device, 4);
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  *pinned = 1;
  CHECK_EQ(cudaMemcpyAsync(device, pinned, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  CHECK_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
  *pinned = 2;
  cudaStreamSynchronize(stream);
  float seen = 0;
  cudaMemcpy(&seen, device, 4, cudaMemcpyDeviceToHost);
  CHECK_EQ(seen, 2.0f);
  cudaStreamDestroy(stream);
  cudaFree(device);
  cudaFreeHost(pinned);
}

TEST(injected_faults_hit_the_chosen_call_and_may_be_fatal) {
  const Clean clean;
  float* device = nullptr;
  simt::inject_fault("cudaMalloc", 2, cudaErrorMemoryAllocation);
  CHECK_EQ(cudaMalloc(&device, 128), cudaSuccess);
  void* more = nullptr;
  CHECK_EQ(cudaMalloc(&more, 128), cudaErrorMemoryAllocation);
  CHECK_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  CHECK_EQ(cudaMalloc(&more, 128), cudaSuccess); // the device still works
  CHECK_EQ(simt::calls_counted(), 3);
  simt::inject_fault("launch", 1, cudaErrorLaunchFailure);
  CHECK_EQ(fill(device, 32, 1.0f, nullptr), cudaErrorLaunchFailure);
  CHECK_EQ(cudaMemset(device, 0, 4), cudaErrorLaunchFailure); // and now nothing does
  CHECK_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  CHECK_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  simt::reset();
  CHECK_EQ(fill(device, 32, 1.0f, nullptr), cudaSuccess);
  CHECK_EQ(cudaFree(device), cudaSuccess);
  CHECK_EQ(cudaFree(more), cudaSuccess);
}

TEST(a_report_ends_the_context) {
  const Clean clean;
  simt::catch_guard_pages();
  float* device = nullptr;
  cudaMalloc(&device, 32 * 4);
  CHECK_EQ(fill(device, 64, 1.0f, nullptr), cudaSuccess); // 32 too many; told by the next synchronisation
  CHECK_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  CHECK_EQ(cudaFree(device), cudaErrorLaunchFailure);
  const std::vector<simt::Report> reports = simt::take_reports();
  REQUIRE(reports.size() == 1);
  CHECK_EQ(simt::name(reports[0].kind), std::string("out of bounds"));
  CHECK(reports[0].text.find("runtime_kernels.cu:") != std::string::npos);
  simt::reset();
  CHECK_EQ(cudaFree(device), cudaErrorInvalidValue); // it was freed, as CUDA frees with a lost context
}

TEST(graphs_hold_what_was_recorded) {
  const Clean clean;
  CHECK_EQ(load_double(), cudaSuccess);
  for (const Order order : {Order::Forward, Order::Reverse}) {
    simt::set_schedule(order);
    float* values = nullptr;
    cudaStream_t stream;
    cudaMalloc(&values, 64 * 4);
    cudaMemset(values, 0, 64 * 4);
    cudaDeviceSynchronize();
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    CHECK_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    cudaStreamCaptureStatus status;
    CHECK_EQ(cudaStreamIsCapturing(stream, &status), cudaSuccess);
    CHECK_EQ(status, cudaStreamCaptureStatusActive);
    CHECK_EQ(double_into(values, values + 32, 32, stream), cudaSuccess);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    CHECK_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    CHECK_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
    CHECK_EQ(cudaGraphDestroy(graph), cudaSuccess);
    for (const float x : {0.0f, 3.0f, 5.0f}) { // 0: nothing was run while it was captured
      if (x > 0) CHECK_EQ(fill(values, 32, x, stream), cudaSuccess);
      if (x > 0) CHECK_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
      CHECK_EQ(cudaStreamSynchronize(stream), cudaSuccess);
      float result = -1;
      cudaMemcpy(&result, values + 32, 4, cudaMemcpyDeviceToHost);
      CHECK_EQ(result, 2 * x);
    }
    CHECK_EQ(simt::live().graphs, 1);
    CHECK_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
    cudaStreamDestroy(stream);
    cudaFree(values);
    CHECK_EQ(simt::live().graphs, 0);
  }
}

// What CUDA forbids while a stream is being captured ends the capture here too.
TEST(captures_are_broken_by_what_cuda_forbids) {
  const Clean clean;
  cudaStream_t stream;
  cudaEvent_t outside;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaEventCreateWithFlags(&outside, cudaEventDisableTiming);
  cudaEventRecord(outside, nullptr);
  float* values = nullptr;
  void* more = nullptr;
  cudaMalloc(&values, 128);
  for (int what = 0; what < 5; ++what) {
    CHECK_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    const cudaError_t error = what == 0   ? cudaStreamSynchronize(stream)
                              : what == 1 ? cudaMalloc(&more, 128)
                              : what == 2 ? cudaStreamWaitEvent(stream, outside)
                              : what == 3 ? cudaMemcpy(values, values + 8, 4, cudaMemcpyDeviceToDevice)
                                          : cudaDeviceSynchronize();
    CHECK_NE(error, cudaSuccess);
    cudaGraph_t graph = nullptr;
    CHECK_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    CHECK(graph == nullptr);
  }
  CHECK_EQ(cudaStreamSynchronize(stream), cudaSuccess); // and nothing else is
  cudaEventDestroy(outside);
  cudaStreamDestroy(stream);
  cudaFree(values);
}

// A thread in relaxed mode may allocate meanwhile, and no more than that.
TEST(captures_let_relaxed_threads_allocate) {
  const Clean clean;
  cudaStream_t stream;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  for (const bool synchronises : {false, true}) {
    CHECK_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    CHECK_EQ(cudaThreadExchangeStreamCaptureMode(&mode), cudaSuccess);
    CHECK_EQ(mode, cudaStreamCaptureModeGlobal);
    void *device = nullptr, *pinned = nullptr;
    CHECK_EQ(cudaMalloc(&device, 128), cudaSuccess);
    CHECK_EQ(cudaHostAlloc(&pinned, 128, cudaHostAllocDefault), cudaSuccess);
    CHECK_EQ(cudaFree(device), cudaSuccess);
    CHECK_EQ(cudaFreeHost(pinned), cudaSuccess);
    if (synchronises) CHECK_NE(cudaStreamSynchronize(stream), cudaSuccess);
    CHECK_EQ(cudaThreadExchangeStreamCaptureMode(&mode), cudaSuccess);
    cudaGraph_t graph = nullptr;
    CHECK_EQ(cudaStreamEndCapture(stream, &graph), synchronises ? cudaErrorStreamCaptureInvalidated : cudaSuccess);
    if (graph) cudaGraphDestroy(graph);
  }
  cudaStreamDestroy(stream);
}

TEST(any_call_can_be_made_to_fail) {
  const Clean clean;
  float* device = nullptr;
  simt::inject_fault("*", 2, cudaErrorInvalidValue);
  CHECK_EQ(cudaMalloc(&device, 128), cudaSuccess);
  CHECK_EQ(cudaMemset(device, 0, 128), cudaErrorInvalidValue);
  simt::inject_fault("*", 1, cudaErrorInvalidValue);
  const int before = simt::live().device_allocations;
  CHECK_EQ(cudaFree(device), cudaErrorInvalidValue);
  CHECK_EQ(simt::live().device_allocations, before - 1); // and yet it was freed
}

TEST(grids_and_blocks_of_three_dimensions) {
  const Clean clean;
  for (const Order order : {Order::Forward, Order::Reverse, Order::Random}) {
    simt::set_schedule(order, 3);
    const int total = 2 * 3 * 2 * 64;
    int* seen = nullptr;
    cudaMalloc(&seen, total * 4);
    cudaMemset(seen, 0, total * 4);
    CHECK_EQ(mark_threads(seen, dim3(2, 3, 2), dim3(8, 4, 2)), cudaSuccess);
    std::vector<int> host(total);
    CHECK_EQ(cudaMemcpy(host.data(), seen, total * 4, cudaMemcpyDeviceToHost), cudaSuccess);
    int right = 0;
    for (int i = 0; i < total; ++i) right += host[static_cast<size_t>(i)] == i + 1;
    CHECK_EQ(right, total);
    cudaFree(seen);
  }
}
