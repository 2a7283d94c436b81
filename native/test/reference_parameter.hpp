// SPDX-License-Identifier: Apache-2.0
//
// The twin of a parameter outside of any layer: AdamW and Nesterov momentum in double precision, written from the
// papers, one element after the other.
#ifndef LNGD_TEST_REFERENCE_PARAMETER_HPP
#define LNGD_TEST_REFERENCE_PARAMETER_HPP

#include <cmath>
#include <vector>

#include "lngd/lngd.h"

namespace twin {

struct Parameter {
  lngd_layer_config layer;
  double averaging_window;
  std::vector<double> weights, momentum, second, average;
  int moves = 0;
  double inner_product = 0, direction_norm = 0, weight_norm = 0; // of the last step

  Parameter(const lngd_config& config, const lngd_layer_config& what, const std::vector<double>& start)
      : layer(what),
        averaging_window(config.averaging_window),
        weights(start),
        momentum(start.size()),
        second(start.size()),
        average(start.size()) {}

  void step(double factor, const std::vector<double>& gradient) {
    ++moves;
    const double rate = layer.learning_rate * factor;
    double dg = 0, dd = 0, ww = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double g = gradient[i], w = weights[i];
      double direction = g, move = 0;
      if (layer.method == LNGD_PARAMETER_ADAMW) {
        momentum[i] = layer.beta1 * momentum[i] + (1 - layer.beta1) * g;
        second[i] = layer.beta2 * second[i] + (1 - layer.beta2) * g * g;
        const double m = momentum[i] / (1 - std::pow(layer.beta1, moves));
        const double v = second[i] / (1 - std::pow(layer.beta2, moves));
        direction = m / (std::sqrt(v) + layer.epsilon);
        move = -rate * direction;
      } else {
        momentum[i] = layer.momentum * momentum[i] - rate * g;
        move = layer.momentum * momentum[i] - rate * g;
      }
      weights[i] = w + move - rate * layer.weight_decay * w;
      average[i] += averaging_window / (averaging_window + moves - 1) * (weights[i] - average[i]);
      dg += direction * g;
      dd += direction * direction;
      ww += w * w;
    }
    inner_product = dg;
    direction_norm = std::sqrt(dd);
    weight_norm = std::sqrt(ww);
  }
};

} // namespace twin

#endif // LNGD_TEST_REFERENCE_PARAMETER_HPP
