// SPDX-License-Identifier: Apache-2.0
// From the norms of a layer to its step: layer rate, trust ratio, weight decay (spec sections 6 and 7). On every
// backend; everything goes through the layer's record.
#ifndef LNGD_BACKEND_STEP_RULES_H
#define LNGD_BACKEND_STEP_RULES_H

#include <cmath>
#include <cstdint>

#include "backend/backend.h"
#include "backend/portable.h"
#include "lngd/lngd.h"

namespace lngd {

// What lngd_config and the schedule say about the length of a step.
struct StepRules {
  double learning_rate;
  double factor; // of the schedule
  double weight_decay;
  double output_decay;
  double mu;
  double trust_ratio;   // tau
  int32_t trust;        // lngd_trust
  int32_t rate;         // lngd_rate
  int32_t decay;        // lngd_decay
  int32_t soft_trust;   // 0 or 1
  int32_t output_bound; // 0 or 1
};

inline StepRules step_rules(const lngd_config& c, double factor) {
  return {c.learning_rate, factor, c.weight_decay, c.output_decay, c.mu,          c.trust_ratio,
          c.trust,         c.rate, c.decay,        c.soft_trust,   c.output_bound};
}

// What was measured in this step.
struct StepNorms {
  double inner;     // <D, G>
  double curvature; // C; 0 for NONE
  double direction; // ||D||
  double weights;   // ||W||
};

constexpr double kSmallestNorm = 1e-3; // of W in the trust ratio: a layer that starts at zero must be able to leave it
constexpr double kSoftKeep = 0.95;     // of the running average of ln ||D||
// Of zeta and of what decay takes away: a millionth of the largest float, 3.4e38, so that momentum, which
// adds up to 1 / (1 - mu) of them, stays finite.
constexpr double kLongestStep = 1e32;

LNGD_INLINE void skip_step(LayerRecord& record) {
  record.last_step_skipped = 1;
  record.coefficient = 0;
  record.decay = 0;
  ++record.skipped_steps;
}

// Whether a layer's W_0 says something about the norm that it should have.
LNGD_INLINE bool has_initial_norm(const RuledLayer& layer, double initial_norm) {
  return layer.output_layer && initial_norm > kSmallestNorm;
}

// zeta = coefficient D and the decay, or a skipped step where something is not finite or the step is longer than 1e32.
//
//   alpha_l = <D, G> / (C + mu)                                    (paper eq. 12; 1 for the rate NONE)
//   trusted = s tau_l max(N(W), 1e-3)                              N(W) = ||W||, or min(||W||, ||W_0||) (output_bound)
//   s       = min(1, 2 ||D|| / usual), ln usual = v_t / (1 - 0.95^t), v_t = 0.95 v_{t-1} + 0.05 ln ||D|| (soft_trust)
//   zeta    = -learning_rate factor alpha_l trust D                trust = trusted / ||alpha_l D||      (ALWAYS)
//   decay   = learning_rate factor (tau_l) weight_decay            times output_decay where ||W|| > ||W_0||
//
// learning_rate and weight_decay times the layer's multipliers; trust 1 where the layer has it off.
//
// `usual` is a geometric mean. With the root mean square, which was tried first, the first directions of a badly scaled
// problem, 10^4 times as long as later ones, kept s small for 360 steps; of a geometric mean they are gone after 50.
LNGD_INLINE void rate_step(const StepRules& rules, const RuledLayer& layer, const StepNorms& norms,
                           LayerRecord& record) {
  const double learning_rate = rules.learning_rate * layer.rate_multiplier;
  const int32_t trust_rule = layer.trust_off ? int32_t{LNGD_TRUST_OFF} : rules.trust;
  const double alpha = rules.rate == LNGD_RATE_NONE ? 1.0 : norms.inner / (norms.curvature + rules.mu);
  const double initial = record.moves > 0 ? record.initial_norm : norms.weights;
  const bool bounded = rules.output_bound != 0 && has_initial_norm(layer, initial);
  const double measure = std::fmax(bounded ? std::fmin(norms.weights, initial) : norms.weights, kSmallestNorm);
  const double tau = rules.trust_ratio * layer.trust_slope;
  double soft = 1.0, average = record.direction_log;
  if (rules.soft_trust != 0) {
    const double moves = static_cast<double>(record.moves);
    // A direction of zero leaves the mean where it was.
    const double old = record.moves > 0 ? record.direction_log / (1 - std::pow(kSoftKeep, moves)) : 0.0;
    const double fresh = norms.direction > 0 ? std::log(norms.direction) : old;
    average = kSoftKeep * record.direction_log + (1 - kSoftKeep) * fresh;
    const double usual = std::exp(average / (1 - std::pow(kSoftKeep, moves + 1)));
    soft = std::fmin(1.0, 2 * norms.direction / usual);
  }
  const double trusted = soft * tau * measure, length = std::fabs(alpha) * norms.direction;
  double trust = 1.0;
  if (trust_rule == LNGD_TRUST_ALWAYS && length > 0) trust = trusted / length;
  if (trust_rule == LNGD_TRUST_CAP && learning_rate * length > trusted) trust = trusted / (learning_rate * length);
  const double coefficient = -learning_rate * rules.factor * alpha * trust;
  double decay = learning_rate * rules.factor * rules.weight_decay * layer.decay_multiplier;
  if (rules.decay == LNGD_DECAY_COUPLED) decay = 0.0;
  if (rules.decay == LNGD_DECAY_TRUST) decay *= tau;
  if (has_initial_norm(layer, initial) && norms.weights > initial) decay *= rules.output_decay;
  record.alpha = alpha;
  record.inner_product = norms.inner;
  record.curvature = norms.curvature;
  record.direction_norm = norms.direction;
  record.weight_norm = norms.weights;
  record.trust_scale = trust;
  const bool sound = std::isfinite(norms.inner) && std::isfinite(norms.direction) && std::isfinite(norms.curvature) &&
                     std::isfinite(coefficient) && std::isfinite(static_cast<float>(coefficient)) &&
                     std::fabs(coefficient) * norms.direction < kLongestStep && decay * norms.weights < kLongestStep;
  if (!sound) return skip_step(record);
  record.last_step_skipped = 0;
  record.coefficient = coefficient;
  record.decay = decay;
  record.initial_norm = initial;
  record.direction_log = average;
  ++record.moves;
}

} // namespace lngd
#endif
