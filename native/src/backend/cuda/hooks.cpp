// SPDX-License-Identifier: Apache-2.0
// Streams and graphs for tests, from the runtime that is linked into this library.
#include "backend/cuda/hooks.h"

#include <cuda_runtime.h>

#include "backend/cuda/device_check.h"

namespace lngd::cuda {
namespace {

void* stream_create() {
  cudaStream_t stream = nullptr;
  return cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess ? stream : nullptr;
}

int stream_synchronize(void* stream) { return cudaStreamSynchronize(static_cast<cudaStream_t>(stream)); }

void stream_destroy(void* stream) { cudaStreamDestroy(static_cast<cudaStream_t>(stream)); }

int copy_on_device(void* to, const void* from, size_t bytes, void* stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, static_cast<cudaStream_t>(stream));
}

int capture_begin(void* stream) {
  return cudaStreamBeginCapture(static_cast<cudaStream_t>(stream), cudaStreamCaptureModeGlobal);
}

void* capture_end(void* stream) {
  cudaGraph_t graph = nullptr;
  if (cudaStreamEndCapture(static_cast<cudaStream_t>(stream), &graph) != cudaSuccess || !graph) {
    cudaGetLastError();
    return nullptr;
  }
  cudaGraphExec_t executable = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  return error == cudaSuccess ? executable : nullptr;
}

int graph_launch(void* graph, void* stream) {
  return cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), static_cast<cudaStream_t>(stream));
}

void graph_destroy(void* graph) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph)); }

} // namespace

DeviceHooks make_hooks() {
  DeviceHooks hooks{};
  hooks.stream_create = stream_create;
  hooks.stream_synchronize = stream_synchronize;
  hooks.stream_destroy = stream_destroy;
  hooks.copy_on_device = copy_on_device;
  hooks.capture_begin = capture_begin;
  hooks.capture_end = capture_end;
  hooks.graph_launch = graph_launch;
  hooks.graph_destroy = graph_destroy;
  hooks.forget_answers = forget_answers;
#if defined(SIMT_EMU)
  add_emulator_hooks(hooks);
#endif
  return hooks;
}

} // namespace lngd::cuda
