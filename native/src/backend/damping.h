// SPDX-License-Identifier: Apache-2.0
// The damping rules of spec section 4: lambda of a factor from the mean of its diagonal. On every backend.
#ifndef LNGD_BACKEND_DAMPING_H
#define LNGD_BACKEND_DAMPING_H

#include <cmath>
#include <cstdint>

#include "backend/portable.h"
#include "lngd/lngd.h"

namespace lngd {

// What lngd_config says about damping.
struct DampingRules {
  int32_t rule; // lngd_damping
  double factor, floor, least, most;
  double second;    // factor on lambda of the second factor
  double reference; // S0 of SIGNAL; 0: not known, as no layer has had a signal yet
};

inline DampingRules damping_rules(const lngd_config& c) {
  return {c.damping,     c.damping_factor, c.damping_floor,   c.damping_min,
          c.damping_max, c.second_damping, c.signal_reference};
}

// Whether lambda follows from the whole layer or group, and not from the block alone.
inline bool damped_by_layer(const lngd_config& c) {
  return c.damping == LNGD_DAMPING_SIGNAL || c.damping == LNGD_DAMPING_FACTORED ||
         (c.damping == LNGD_DAMPING_RELATIVE && c.damping_scope == LNGD_DAMPING_SCOPE_LAYER);
}

// RELATIVE and ABSOLUTE, from the mean diagonal element of a block (RELATIVE with scope LAYER: of all blocks).
LNGD_INLINE double mean_damping(const DampingRules& r, double mean, bool second) {
  if (r.rule != LNGD_DAMPING_RELATIVE) return std::fmin(std::fmax(mean, r.least), r.most);
  return std::fmax((second ? r.second : 1.0) * r.factor * mean, r.floor);
}

// gamma_l = clip(g sqrt(S0 / (alpha_l beta_l)), least, most). A layer without inputs or signal has the largest.
LNGD_INLINE double signal_gamma(const DampingRules& r, double input_square, double signal_square) {
  const double signal = input_square * signal_square;
  return signal > 0 ? std::fmin(std::fmax(r.factor * std::sqrt(r.reference / signal), r.least), r.most) : r.most;
}

// SIGNAL, from gamma_l and the mean diagonal element over all blocks of the factor.
LNGD_INLINE double signal_damping(const DampingRules& r, double gamma, double mean, bool second) {
  return std::fmax((second ? r.second : 1.0) * gamma * mean, r.floor);
}

// FACTORED: pi sqrt(lambda) for Phi, sqrt(lambda) / pi for the second factor, pi^2 = (tr Phi/d) / (tr B/m) of a group.
LNGD_INLINE double factored_damping(const DampingRules& r, double first_mean, double second_mean, bool second) {
  const double pi = first_mean > 0 && second_mean > 0 ? std::sqrt(first_mean / second_mean) : 1.0;
  const double root = std::sqrt(r.factor);
  return std::fmax(second ? root / pi : root * pi, r.floor);
}

} // namespace lngd
#endif
