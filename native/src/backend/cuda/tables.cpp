// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/tables.h"

namespace lngd::cuda {

bool Arena::create(Calls& calls, cudaStream_t stream) {
  void* memory = nullptr;
  if (!calls("cudaMalloc", [&] { return cudaMalloc(&memory, bytes_); })) return false;
  memory_ = static_cast<char*>(memory);
  calls("cudaMemcpyAsync",
        [&] { return cudaMemcpyAsync(memory_, image_.data(), image_.size(), cudaMemcpyHostToDevice, stream); });
  calls("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(stream); });
  std::vector<char>().swap(image_);
  return calls.ok();
}

void Arena::destroy() {
  if (memory_) cudaFree(memory_);
  memory_ = nullptr;
}

bool ChangingTable::reserve(Calls& calls, size_t bytes) {
  if (bytes <= bytes_) return calls.ok();
  destroy(); // cudaFree waits for the kernels that read it
  void* memory = nullptr;
  if (!calls("cudaMalloc", [&] { return cudaMalloc(&memory, bytes); })) return false;
  device_ = static_cast<char*>(memory);
  for (int i = 0; i < 2; ++i) {
    if (!calls("cudaHostAlloc", [&] { return cudaHostAlloc(&memory, bytes, cudaHostAllocDefault); })) return false;
    pinned_[i] = static_cast<char*>(memory);
    if (!calls("cudaEventCreateWithFlags", [&] { return cudaEventCreateWithFlags(&sent_[i], cudaEventDisableTiming); }))
      return false;
  }
  bytes_ = bytes;
  return true;
}

bool ChangingTable::write(Calls& calls, const void* values, size_t bytes, cudaStream_t stream) {
  if (!calls.ok()) return false;
  if (written_ == bytes && std::memcmp(pinned_[current_], values, bytes) == 0) return true;
  current_ = 1 - current_;
  if (busy_[current_] && !calls("cudaEventSynchronize", [&] { return cudaEventSynchronize(sent_[current_]); }))
    return false;
  busy_[current_] = false;
  written_ = 0; // until it is on its way
  std::memcpy(pinned_[current_], values, bytes);
  calls("cudaMemcpyAsync",
        [&] { return cudaMemcpyAsync(device_, pinned_[current_], bytes, cudaMemcpyHostToDevice, stream); });
  if (!calls("cudaEventRecord", [&] { return cudaEventRecord(sent_[current_], stream); })) return false;
  busy_[current_] = true;
  written_ = bytes;
  return true;
}

void ChangingTable::destroy() {
  if (device_) cudaFree(device_);
  for (int i = 0; i < 2; ++i) {
    if (pinned_[i]) cudaFreeHost(pinned_[i]);
    if (sent_[i]) cudaEventDestroy(sent_[i]);
  }
  *this = ChangingTable();
}

namespace {

// While this lives, the thread may allocate although a stream is being captured. What it allocates is no part of the
// graph. Refusing captures for which nothing was reserved, as first done, asked callers to know what a step allocates.
class RelaxedCapture {
 public:
  explicit RelaxedCapture(Calls& calls) {
    exchanged_ =
        calls("cudaThreadExchangeStreamCaptureMode", [&] { return cudaThreadExchangeStreamCaptureMode(&mode_); });
  }
  ~RelaxedCapture() {
    if (exchanged_) cudaThreadExchangeStreamCaptureMode(&mode_);
  }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed; // then what it was
  bool exchanged_ = false;
};

} // namespace

bool CapturedTable::create(Calls& calls, size_t bytes) {
  const RelaxedCapture relaxed(calls);
  void* memory = nullptr;
  if (!calls("cudaMalloc", [&] { return cudaMalloc(&memory, bytes); })) return false;
  device_ = static_cast<char*>(memory);
  bytes_ = bytes;
  if (!calls("cudaHostAlloc", [&] { return cudaHostAlloc(&memory, bytes, cudaHostAllocDefault); })) return false;
  pinned_ = static_cast<char*>(memory);
  return true;
}

bool CapturedTable::send(Calls& calls, const void* values, size_t bytes, cudaStream_t stream) const {
  if (!calls.ok()) return false;
  std::memcpy(pinned_, values, bytes);
  return calls("cudaMemcpyAsync",
               [&] { return cudaMemcpyAsync(device_, pinned_, bytes, cudaMemcpyHostToDevice, stream); });
}

void CapturedTable::destroy() {
  if (device_) cudaFree(device_);
  if (pinned_) cudaFreeHost(pinned_);
  *this = CapturedTable();
}

} // namespace lngd::cuda
