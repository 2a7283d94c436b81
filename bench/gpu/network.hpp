// SPDX-License-Identifier: Apache-2.0
// All layers of a set in device memory, as a plan of the CUDA backend lays them out: what the kernels that run over a
// whole network in one launch are timed on.
#ifndef LNGD_GPU_BENCH_NETWORK_HPP
#define LNGD_GPU_BENCH_NETWORK_HPP

#include <memory>
#include <vector>

#include "backend/cuda/kernels.h"
#include "backend/cuda/step_settings.h"
#include "bench.hpp"

namespace bench {

// Where a layer's numbers lie in the network's arrays, in elements.
struct Offsets {
  int64_t weights, bias, own, outputs, blocks, block_count, groups;
};

class Network {
 public:
  Network(const std::vector<Layer>& layers, const Preset& preset);

  // Weights, biases, their gradients, momentum, averages and directions are uniform(seed, position in the array);
  // blocks of Phi and its inverse spd(seed, ...); psi and its inverse lie in [0.5, 2.5].
  static constexpr uint32_t kWeights = 1, kGradients = 2, kBias = 3, kBiasGradients = 4, kMomentum = 5, kAverage = 6,
                            kDirection = 7, kPhi = 8, kPhiInverse = 9;

  std::vector<Layer> layers;
  Preset preset;
  std::vector<lngd::LayerShape> shapes;
  std::vector<Offsets> at;
  Buffer<lngd::LayerRecord> records;
  Buffer<float> weights, gradients, bias, bias_gradients;    // the caller's: compact, outputs x inputs
  Buffer<float> momentum, average, direction;                // ours: outputs x ldw
  Buffer<float> phi, phi_sum, phi_inverse, psi, psi_inverse; // blocks; outputs
  Buffer<double> psi_sum, denominator, lambda_phi;           // outputs; groups; blocks
  std::vector<lngd::LayerMemory> memory;                     // device pointers into these
  std::vector<lngd::cuda::DeviceLayer> device_layers;
  Buffer<lngd::cuda::DeviceLayer> table; // the same on the device
};

// As many networks as it takes that none is in the cache when its turn comes; `bytes`: what a launch touches of one.
std::vector<std::unique_ptr<Network>> copies(const Options& options, const std::vector<Layer>& layers,
                                             const Preset& preset, double bytes);

// The recipe's settings in device memory, with values that are exact in binary where a reference uses them.
struct Settings {
  Settings();
  Buffer<lngd::cuda::StepSettings> memory;
};

} // namespace bench
#endif
