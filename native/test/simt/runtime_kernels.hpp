// SPDX-License-Identifier: Apache-2.0
// Launchers of the kernels that test_runtime.cpp and test_hardware.cpp need.
#ifndef LNGD_SIMT_RUNTIME_KERNELS_HPP
#define LNGD_SIMT_RUNTIME_KERNELS_HPP

#include <cuda_runtime.h>

#include "simt.hpp"

struct Clean { // every test starts and ends with a working device
  Clean() { simt::reset(); }
  ~Clean() {
    simt::reset();
    simt::set_schedule(simt::Order::Forward);
    simt::set_device(nullptr);
  }
};

// Touches the last byte of that much dynamic shared memory.
cudaError_t touch_shared(size_t bytes);
cudaError_t allow_shared(int bytes);
// The same beside 4,017 bytes of static shared memory in three variables.
cudaError_t touch_static_and_dynamic(size_t bytes);
cudaError_t allow_static_and_dynamic(int bytes);
cudaError_t static_shared_attributes(cudaFuncAttributes& attributes);
cudaError_t launch_blocks(unsigned blocks, unsigned threads);
// `count` is a multiple of 32.
cudaError_t fill(float* values, int count, float value, cudaStream_t stream);
cudaError_t load_double(); // cudaFuncGetAttributes of the next
cudaError_t double_into(const float* from, float* to, int count, cudaStream_t stream);
// seen[i] += i + 1 for the number i of each thread in the grid.
cudaError_t mark_threads(int* seen, dim3 grid, dim3 block);

#endif
