// SPDX-License-Identifier: Apache-2.0
// How a parameter outside of any layer moves: AdamW or Nesterov momentum. On every backend.
//
//   e = learning_rate factor, t = steps that moved it, this one counted
//   ADAMW      M <- beta1 M + (1 - beta1) G      V <- beta2 V + (1 - beta2) G^2
//              D = (M / (1 - beta1^t)) / (sqrt(V / (1 - beta2^t)) + epsilon)       u = e (D + weight_decay W)
//   NESTEROV   M <- momentum M - e G             u = e weight_decay W - (momentum M - e G)       D = G
//   W <- W - u      or, for frameworks that subtract, G <- u
//   avg <- avg + c/(c + t - 1) ((W - u) - avg)
//
// (AdamW: I. Loshchilov, F. Hutter, ICLR 2019, algorithm 2, its decay times the learning rate. The momentum is that of
// apply_update, with G for the direction.)
//
// Two passes: parameter_sums, which writes nothing, shows whether the step is sound; then apply_update moves. So the
// moments are made twice, 16 bytes an element more. Rejected: looking at G while it is applied, which would need the
// old moments back where its last element is NaN.
#ifndef LNGD_BACKEND_PARAMETER_RULES_H
#define LNGD_BACKEND_PARAMETER_RULES_H

#include <cmath>
#include <cstdint>

#include "backend/backend.h"
#include "backend/portable.h"
#include "backend/step_rules.h"
#include "lngd/lngd.h"

namespace lngd {

// Over the elements, in double: no square of a float leaves its range.
struct ParameterSums {
  double direction_gradient;  // <D, G>
  double direction_direction; // ||D||^2
  double gradient_gradient;   // ||G||^2
  double weight_weight;       // ||W||^2
};

LNGD_INLINE void add(ParameterSums& to, const ParameterSums& more) {
  to.direction_gradient += more.direction_gradient;
  to.direction_direction += more.direction_direction;
  to.gradient_gradient += more.gradient_gradient;
  to.weight_weight += more.weight_weight;
}

// One step's numbers as the elements take them.
struct ParameterStep {
  float keep1, fresh1, keep2, fresh2; // of the moments
  float correct1, correct2;           // 1 / (1 - beta^t)
  float epsilon;
  float momentum;
  float zeta;     // -e
  float decay;    // e weight_decay
  float average;  // c / (c + t - 1)
  float gradient; // what G is multiplied by (gradient_scale.h)
};

// base^exponent by squaring, good to exponent 2^-53 of itself. Not pow, which on a device is a call that costs
// apply_update the registers of its layers.
LNGD_INLINE double power(double base, int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) result *= base;
    base *= base;
  }
  return result;
}

// `moves`: steps that moved it, this one counted. zeta and decay are the record's; the first pass needs neither.
LNGD_INLINE ParameterStep parameter_step(const ParameterRules& rules, int64_t moves, double zeta, double decay,
                                         double averaging_window, float gradient) {
  const double t = static_cast<double>(moves);
  ParameterStep k{};
  k.keep1 = static_cast<float>(rules.beta1);
  k.fresh1 = static_cast<float>(1.0 - rules.beta1);
  k.keep2 = static_cast<float>(rules.beta2);
  k.fresh2 = static_cast<float>(1.0 - rules.beta2);
  k.correct1 = static_cast<float>(1.0 / (1.0 - power(rules.beta1, moves)));
  k.correct2 = static_cast<float>(1.0 / (1.0 - power(rules.beta2, moves)));
  k.epsilon = static_cast<float>(rules.epsilon);
  k.momentum = static_cast<float>(rules.momentum);
  k.zeta = static_cast<float>(zeta);
  k.decay = static_cast<float>(decay);
  k.average = static_cast<float>(averaging_window / (averaging_window + t - 1.0));
  k.gradient = gradient;
  return k;
}

// D of one element, and its new moments.
LNGD_INLINE float adam_direction(const ParameterStep& k, float g, float& first, float& second) {
  first = k.keep1 * first + k.fresh1 * g;
  second = k.keep2 * second + k.fresh2 * (g * g);
  return k.correct1 * first / (std::sqrt(k.correct2 * second) + k.epsilon);
}

// u of one element; `momentum` and, with ADAMW, `second` become the new ones.
template <bool AdamW>
LNGD_INLINE float parameter_update(const ParameterStep& k, float w, float g, float& momentum, float& second) {
  if (AdamW) return k.decay * w - k.zeta * adam_direction(k, g, momentum, second);
  const float zeta = k.zeta * g;
  momentum = k.momentum * momentum + zeta;
  return k.decay * w - (k.momentum * momentum + zeta);
}

constexpr double kLargestGradient = 1e16; // ||G||: V, an average of squares, then stays far inside float

// The record of the step, or of a skipped one: something is not finite, or too long (step_rules.h).
LNGD_INLINE void rate_parameter(const ParameterRules& rules, double factor, const ParameterSums& sums,
                                LayerRecord& record) {
  const double rate = rules.learning_rate * factor, decay = rate * rules.weight_decay;
  const double direction = std::sqrt(sums.direction_direction), weights = std::sqrt(sums.weight_weight);
  record.inner_product = sums.direction_gradient;
  record.direction_norm = direction;
  record.weight_norm = weights;
  const bool sound = std::sqrt(sums.gradient_gradient) < kLargestGradient && std::isfinite(sums.direction_gradient) &&
                     std::isfinite(static_cast<float>(rate)) && rate * direction < kLongestStep &&
                     decay * weights < kLongestStep && std::isfinite(static_cast<float>(decay));
  if (!sound) return skip_step(record);
  record.last_step_skipped = 0;
  record.coefficient = -rate;
  record.decay = decay;
  if (record.moves == 0) record.initial_norm = weights;
  ++record.moves;
}

} // namespace lngd
#endif
