// SPDX-License-Identifier: Apache-2.0
// New addresses of the caller's tensors into a plan's table, in stream order: steps and graphs launched before read the
// old ones, those launched after the new ones. By value through a launch, for the reasons of store_settings.cu.
#include "backend/cuda/cuda_plan.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {
namespace {

__device__ void replace(Strided& tensor, float* address) {
  if (address) tensor.data = address;
}

// One thread a layer.
__global__ void __launch_bounds__(kAddressesPerLaunch)
    store_addresses_kernel(AddressTable addresses, int32_t count, DeviceLayer* to) {
  const int32_t i = static_cast<int32_t>(threadIdx.x);
  if (i >= count) return;
  const LayerAddresses& from = addresses.layers[i];
  replace(to[i].weights, from.weights);
  replace(to[i].bias, from.bias);
  replace(to[i].weight_gradients, from.weight_gradients);
  replace(to[i].bias_gradients, from.bias_gradients);
}

} // namespace

cudaError_t prepare_store_addresses() { return prepare_kernel(store_addresses_kernel); }

cudaError_t launch_store_addresses(const AddressTable& addresses, int32_t count, DeviceLayer* to, cudaStream_t stream) {
  return launch(store_addresses_kernel, dim3(1), dim3(kAddressesPerLaunch), 0, stream, addresses, count, to);
}

} // namespace lngd::cuda
