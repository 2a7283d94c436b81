// SPDX-License-Identifier: Apache-2.0
// A network's optimizer and its tensors, made through lngd.h alone.
#ifndef LNGD_GPU_BENCH_STEP_HPP
#define LNGD_GPU_BENCH_STEP_HPP

#include <string>
#include <vector>

#include "layers/layers.hpp"
#include "lngd/lngd.h"

namespace bench {

// (psi_i + lambda_psi) (D (Phi + lambda_Phi I))_ij = G_ij up to the error of an explicit float32 inverse, eps times the
// condition number: with gamma = 1 that number is below d, 4608 here, which leaves three digits.
constexpr double kStepBound = 1e-3;

constexpr int kDeviceLost = 75; // the exit code that restart.py waits for

// KFAC as lngd_config_init has it, in the place of LNGD: both factors whole, of the whole batch. The same bound: with
// lambda = 0.01 the condition number of each factor stays below a hundred for these numbers.
constexpr Preset kKfac{"kfac", 0, 0, 0};

class Training {
 public:
  // Throws bench::Failed with the library's message.
  Training(const std::vector<Layer>& layers, const Preset& preset, int32_t device, bool overlap);
  ~Training();
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

  int64_t cycle() const; // steps after which everything repeats: T_INV
  void step();
  void synchronize() const;
  // Right after the first step: by how much the direction misses the damped system, over some rows of each layer.
  double residual() const;
  // Throws where a step was skipped or an inverse failed.
  void check_health() const;

 private:
  struct Tensors;
  double kfac_residual(int32_t layer) const;
  void make(const std::vector<Layer>& layers);
  float* device_random(int64_t count, uint32_t seed, float scale);

  Preset preset_;
  bool kfac_;
  int32_t device_;
  lngd_config config_{};
  lngd_optimizer* optimizer_ = nullptr;
  lngd_plan* plan_ = nullptr;
  std::vector<lngd_layer_config> layer_configs_;
  std::vector<Tensors> tensors_;
};

} // namespace bench
#endif
