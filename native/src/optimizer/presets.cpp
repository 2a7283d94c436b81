// SPDX-License-Identifier: Apache-2.0
// The presets of lngd_config_init.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "optimizer/config.h"
#include "optimizer/error.h"

namespace lngd {

int32_t interval(int64_t total_steps, int64_t share, int32_t most) {
  return total_steps == 0 ? most : static_cast<int32_t>(std::clamp<int64_t>(total_steps / share, 1, most));
}

namespace {

// recipe.md, "what to ship": kind c, for classification, or r, for reconstruction and regression.
void set_block_kronecker(lngd_config& c, bool fit, int64_t total_steps) {
  const double steps = static_cast<double>(total_steps);
  c.approximation = LNGD_APPROXIMATION_KFAC;
  c.fisher = LNGD_FISHER_PROVIDED;
  c.damping = LNGD_DAMPING_SIGNAL;
  c.damping_factor = fit ? 0.15 : 0.7; // g
  c.damping_min = 0.02;
  c.damping_max = 20;
  c.second_block_size = 128;
  c.statistics_samples = 256;
  c.rho = 0.9;
  c.decay = LNGD_DECAY_TRUST;
  c.weight_decay = fit ? 0.1 : 0.3; // omega
  c.trust_ratio = total_steps == 0 ? 0.0 : fit ? 0.2 / std::sqrt(steps + 100) : 0.17 / std::sqrt(steps + 50);
  if (fit) {
    c.nesterov = 1;
    c.averaging = 0; // costs 0.3 nats there
    c.statistics_interval = 3;
    c.inverse_interval = 12;
    return;
  }
  c.second_damping = 3;
  c.soft_trust = 1;
  c.output_bound = 1;
  c.output_decay = 8;
  c.statistics_interval = interval(total_steps, 80, 6);
  c.inverse_interval = interval(total_steps, 20, 25);
}

} // namespace

lngd_config preset_config(int32_t preset, int64_t total_steps) {
  require(preset >= 0 && preset <= LNGD_PRESET_NGPLUS, "preset is ", preset, ", allowed is 0 to ",
          int{LNGD_PRESET_NGPLUS});
  require(total_steps >= 0, "total_steps is ", total_steps, ", allowed is 0 or more");
  lngd_config c;
  std::memset(&c, 0, sizeof c); // padding too: the configuration is hashed and compared by value
  c.struct_size = sizeof c;
  // RECIPE (spec/recipe.md).
  c.fisher = LNGD_FISHER_EXPECTED;
  c.damping = LNGD_DAMPING_RELATIVE;
  c.trust = LNGD_TRUST_ALWAYS;
  c.rate = LNGD_RATE_NONE;
  c.decay = LNGD_DECAY_DECOUPLED;
  c.averaging = 1;
  c.block_size = 128;
  c.statistics_samples = 64;
  c.statistics_interval = 20;
  c.inverse_interval = 100;
  c.learning_rate = 1.0;
  c.momentum = 0.9;
  c.damping_factor = 1.0;
  c.damping_floor = 1e-10;
  c.damping_min = 1e-5;
  c.damping_max = 1e-2;
  c.rho = 0.8;
  c.mu = 1e-8;
  c.trust_ratio = total_steps > 0 ? 0.17 / std::sqrt(static_cast<double>(total_steps)) : 0.0;
  c.trust_depth_slope = 1.0;
  c.averaging_window = 8.0;
  c.precision = LNGD_PRECISION_AUTO;
  c.direction_precision = LNGD_PRECISION_TF32X3;
  c.overlap = 1;
  c.output_decay = 1.0;
  c.second_damping = 1.0;
  switch (preset) {
    case LNGD_PRESET_RECIPE_FIT:
      c.block_size = 0;
      c.damping_factor = 0.3;
      c.nesterov = 1;
      c.trust_ratio = 0.005;
      c.trust_depth_slope = 1.5;
      c.statistics_samples = 0;
      c.statistics_interval = 5;
      c.inverse_interval = 20;
      c.rho = 0.9;
      break;
    case LNGD_PRESET_RECIPE_EMPIRICAL:
      c.rate = LNGD_RATE_EMPIRICAL;
      c.trust = LNGD_TRUST_CAP;
      break;
    case LNGD_PRESET_PAPER:
      c.fisher = LNGD_FISHER_SAMPLED;
      c.damping = LNGD_DAMPING_ABSOLUTE;
      c.trust = LNGD_TRUST_OFF;
      c.trust_ratio = 0.0;
      c.rate = LNGD_RATE_EMPIRICAL;
      c.averaging = 0;
      c.block_size = 0;
      c.statistics_samples = 0;
      c.statistics_interval = 100;
      c.rho = 0.95;
      c.learning_rate = 0.1;
      c.weight_decay = 0.004;
      break;
    case LNGD_PRESET_BLOCK_KRONECKER:
    case LNGD_PRESET_BLOCK_KRONECKER_FIT:
      set_block_kronecker(c, preset == LNGD_PRESET_BLOCK_KRONECKER_FIT, total_steps);
      break;
    case LNGD_PRESET_KFAC:
    case LNGD_PRESET_TKFAC:
    case LNGD_PRESET_EKFAC:
    case LNGD_PRESET_NGPLUS:
      c.approximation = preset == LNGD_PRESET_KFAC    ? LNGD_APPROXIMATION_KFAC
                        : preset == LNGD_PRESET_TKFAC ? LNGD_APPROXIMATION_TKFAC
                        : preset == LNGD_PRESET_EKFAC ? LNGD_APPROXIMATION_EKFAC
                                                      : LNGD_APPROXIMATION_NGPLUS;
      c.fisher = LNGD_FISHER_PROVIDED;
      if (preset != LNGD_PRESET_NGPLUS) {
        c.damping = LNGD_DAMPING_FACTORED;
        c.damping_factor = 1e-2;
      }
      c.trust = LNGD_TRUST_OFF;
      c.trust_ratio = 0.0;
      c.averaging = 0;
      c.block_size = 0;
      c.statistics_samples = 0;
      c.rho = 0.95;
      c.learning_rate = 0.03;
      break;
    default:
      break;
  }
  return c;
}

} // namespace lngd
