// SPDX-License-Identifier: Apache-2.0
// The layers of a set in a backend's memory, with a plan and one batch for each: what the kernels of kernels.def are
// called on, as the optimizer calls them.
#ifndef LNGD_BENCH_NATIVE_NETWORK_HPP
#define LNGD_BENCH_NATIVE_NETWORK_HPP

#include <vector>

#include "backend/backend.h"
#include "layers/layers.hpp"

namespace bench {

// A layer's tensors of the caller.
struct LayerData {
  std::vector<float> weights, bias, weight_gradients, bias_gradients;
  std::vector<float> inputs, signal; // NCHW, or rows; `signal` serves as deltas too
  int64_t samples = 0;               // of the statistics: rows of a dense layer, images of a convolution
};

class Network {
 public:
  // `rate`: lngd_rate. Throws Failed.
  Network(const lngd::Backend& backend, std::vector<Layer> layers, const Preset& preset, int32_t threads, int32_t rate);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  lngd::StepArgs step_args();
  lngd::StatisticsArgs statistics_args(size_t layer);
  lngd::ConvStatisticsArgs conv_args(size_t layer);
  // The sums of all layers back to zero.
  void clear_sums();
  // Statistics, running averages and inverses of every layer, once: what the kernels of a step begin with.
  void prepare();
  void check(); // throws Failed with what the backend has failed in

  const lngd::Backend& backend;
  lngd::Context* context = nullptr;
  lngd_config config{};
  std::vector<Layer> layers;
  Preset preset;
  std::vector<lngd::LayerShape> shapes;
  std::vector<lngd::LayerMemory> memory;
  std::vector<LayerData> data;
  std::vector<lngd::StepLayer> steps;
  lngd::Plan* plan = nullptr;

 private:
  template <typename T>
  T* allocate(int64_t count);
  void make_layer(size_t index);
  int32_t signal_kind() const { return preset.second < 0 ? LNGD_SIGNAL_PRE_ACTIVATIONS : LNGD_SIGNAL_GRADIENTS; }

  std::vector<void*> owned_;
};

} // namespace bench
#endif
