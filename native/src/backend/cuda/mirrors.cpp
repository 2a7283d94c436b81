// SPDX-License-Identifier: Apache-2.0
// Copies of a plan's host tensors on the device.
#include "backend/cuda/cuda_plan.h"

namespace lngd::cuda {

void Mirrors::add(Part part, const Strided& tensor, int64_t rows, int64_t columns) {
  if (tensor.device || !tensor.data) return;
  parts_[part].push_back({tensor, rows, columns, floats_[part]});
  floats_[part] += rows * staged_pitch(columns);
  floats_[part] = padded(floats_[part]);
}

bool Mirrors::create(Calls& calls) {
  if (!any()) return calls.ok();
  const size_t size = static_cast<size_t>(bytes());
  void *device = nullptr, *pinned = nullptr;
  if (!calls("cudaMalloc", [&] { return cudaMalloc(&device, size); })) return false;
  device_ = static_cast<float*>(device);
  if (!calls("cudaHostAlloc", [&] { return cudaHostAlloc(&pinned, size, cudaHostAllocDefault); })) return false;
  pinned_ = static_cast<float*>(pinned);
  return true;
}

void Mirrors::destroy() {
  if (device_) cudaFree(device_);
  if (pinned_) cudaFreeHost(pinned_);
  device_ = pinned_ = nullptr;
}

Strided Mirrors::next(Part part, const Strided& tensor) {
  if (tensor.device || !tensor.data) return tensor;
  const Tensor& mirror = parts_[part][next_[part]++];
  return {device(part) + mirror.offset, staged_pitch(mirror.columns), 1, true};
}

void Mirrors::move(Part part, const Strided& tensor) {
  if (tensor.device || !tensor.data) return;
  parts_[part][next_[part]++].host.data = tensor.data;
}

bool Mirrors::upload(Calls& calls, Part part, cudaStream_t stream) {
  if (parts_[part].empty() || !calls.ok()) return calls.ok();
  for (const Tensor& tensor : parts_[part])
    gather(tensor.host, tensor.rows, tensor.columns, pinned(part) + tensor.offset, staged_pitch(tensor.columns));
  const size_t size = static_cast<size_t>(floats_[part]) * sizeof(float);
  return calls("cudaMemcpyAsync",
               [&] { return cudaMemcpyAsync(device(part), pinned(part), size, cudaMemcpyHostToDevice, stream); });
}

bool Mirrors::download(Calls& calls, Part part, cudaStream_t stream) {
  if (parts_[part].empty()) return calls.ok();
  const size_t size = static_cast<size_t>(floats_[part]) * sizeof(float);
  calls("cudaMemcpyAsync",
        [&] { return cudaMemcpyAsync(pinned(part), device(part), size, cudaMemcpyDeviceToHost, stream); });
  if (!calls("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(stream); })) return false;
  for (const Tensor& tensor : parts_[part])
    scatter(pinned(part) + tensor.offset, staged_pitch(tensor.columns), tensor.host, tensor.rows, tensor.columns);
  return true;
}

} // namespace lngd::cuda
