// SPDX-License-Identifier: Apache-2.0
// Device memory for tests, on the emulator or a GPU.
#ifndef LNGD_SIMT_DEVICE_ARRAY_HPP
#define LNGD_SIMT_DEVICE_ARRAY_HPP

#include <cuda_runtime.h>

#include <vector>

#include "harness.hpp"

// Frees itself; a failed call ends the test.
template <class T>
struct Array {
  T* data = nullptr;
  size_t count;
  explicit Array(size_t n) : count(n) {
    REQUIRE(cudaMalloc(reinterpret_cast<void**>(&data), n * sizeof(T)) == cudaSuccess);
  }
  explicit Array(const std::vector<T>& values) : Array(values.size()) {
    REQUIRE(cudaMemcpy(data, values.data(), count * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess);
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { cudaFree(data); }
  void write(const std::vector<T>& values) {
    REQUIRE(values.size() == count);
    REQUIRE(cudaMemcpy(data, values.data(), count * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess);
  }
  std::vector<T> read() const {
    std::vector<T> values(count);
    REQUIRE(cudaMemcpy(values.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
    return values;
  }
};

#endif
