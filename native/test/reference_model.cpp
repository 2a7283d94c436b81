// SPDX-License-Identifier: Apache-2.0
//
// The layer model of the twin (section 1): activations, their derivatives, and the squares q_ni of the per-sample
// gradients.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "reference.hpp"

namespace twin {
namespace {

// 1 / (1 + e^-s) without overflow.
double sigmoid(double s) { return s >= 0 ? 1 / (1 + std::exp(-s)) : std::exp(s) / (1 + std::exp(s)); }

double square(double x) { return x * x; }

} // namespace

double activation(int kind, double parameter, double s) {
  if (std::isnan(s)) return s;
  switch (kind) {
    case LNGD_ACTIVATION_IDENTITY:
      return s;
    case LNGD_ACTIVATION_RELU:
      return s > 0 ? s : 0;
    case LNGD_ACTIVATION_LEAKY_RELU:
      return s > 0 ? s : parameter * s;
    case LNGD_ACTIVATION_ELU:
      return s > 0 ? s : parameter * std::expm1(s);
    case LNGD_ACTIVATION_TANH:
      return std::tanh(s);
    case LNGD_ACTIVATION_SIGMOID:
      return sigmoid(s);
    case LNGD_ACTIVATION_SOFTPLUS:
      return std::max(s, 0.0) + std::log1p(std::exp(-std::fabs(s)));
    case LNGD_ACTIVATION_GELU:
      return s * 0.5 * std::erfc(-s / std::sqrt(2.0));
    case LNGD_ACTIVATION_SWISH:
      return s * sigmoid(s);
    default:
      throw std::logic_error("activation");
  }
}

double activation_derivative(int kind, double parameter, double s) {
  if (std::isnan(s)) return s;
  switch (kind) {
    case LNGD_ACTIVATION_IDENTITY:
      return 1;
    case LNGD_ACTIVATION_RELU:
      return s > 0 ? 1 : 0;
    case LNGD_ACTIVATION_LEAKY_RELU:
      return s > 0 ? 1 : parameter;
    case LNGD_ACTIVATION_ELU:
      return s > 0 ? 1 : parameter * std::exp(s);
    case LNGD_ACTIVATION_TANH:
      return 1 / square(std::cosh(s));
    case LNGD_ACTIVATION_SIGMOID:
      return sigmoid(s) * sigmoid(-s);
    case LNGD_ACTIVATION_SOFTPLUS:
      return sigmoid(s);
    case LNGD_ACTIVATION_GELU: // Phi(s) + s N(s)
      return 0.5 * std::erfc(-s / std::sqrt(2.0)) + s * std::exp(-s * s / 2) / std::sqrt(2 * 3.14159265358979323846);
    case LNGD_ACTIVATION_SWISH:
      return sigmoid(s) * (1 + s * sigmoid(-s));
    default:
      throw std::logic_error("activation");
  }
}

double activation_derivative_of_output(int kind, double parameter, double y) {
  if (std::isnan(y)) return y;
  switch (kind) {
    case LNGD_ACTIVATION_IDENTITY:
      return 1;
    case LNGD_ACTIVATION_RELU:
      return y > 0 ? 1 : 0;
    case LNGD_ACTIVATION_LEAKY_RELU:
      return y > 0 ? 1 : parameter;
    case LNGD_ACTIVATION_ELU:
      return y > 0 ? 1 : y + parameter;
    case LNGD_ACTIVATION_TANH:
      return 1 - y * y;
    case LNGD_ACTIVATION_SIGMOID:
      return y * (1 - y);
    case LNGD_ACTIVATION_SOFTPLUS:
      return -std::expm1(-y); // y = log(1 + e^s), so sigmoid(s) = 1 - e^-y
    default:
      throw std::logic_error("no derivative from outputs");
  }
}

std::vector<double> softmax(const std::vector<double>& s) {
  const double largest = *std::max_element(s.begin(), s.end());
  std::vector<double> p(s.size());
  double sum = 0;
  for (std::size_t i = 0; i < s.size(); ++i) sum += p[i] = std::exp(s[i] - largest);
  for (double& value : p) value /= sum;
  return p;
}

std::vector<double> fisher_row(const lngd_layer_config& layer, int fisher, const Noise& noise, std::int64_t n,
                               const std::vector<double>& signal, int signal_kind) {
  const std::size_t m = signal.size();
  std::vector<double> q(m);
  // Element e of the layer's batch, the lane that Philox gives it.
  const auto element = [&](std::size_t i) { return static_cast<std::uint64_t>(n) * m + i; };

  if (fisher == LNGD_FISHER_PROVIDED) {
    for (std::size_t i = 0; i < m; ++i) q[i] = square(signal[i]); // q = g^2
    return q;
  }
  const bool sampled = fisher == LNGD_FISHER_SAMPLED;
  const bool outputs = signal_kind == LNGD_SIGNAL_OUTPUTS;

  switch (layer.output) {
    case LNGD_OUTPUT_HIDDEN:
    case LNGD_OUTPUT_SQUARED_ERROR:
      // g = phi'(s) eps, eps ~ N(0, 1); E q = phi'(s)^2
      for (std::size_t i = 0; i < m; ++i) {
        const double slope =
            outputs ? activation_derivative_of_output(layer.activation, layer.activation_parameter, signal[i])
                    : activation_derivative(layer.activation, layer.activation_parameter, signal[i]);
        q[i] = square(slope * (sampled ? noise.gaussian(element(i)) : 1.0));
      }
      return q;

    case LNGD_OUTPUT_SOFTMAX: {
      const std::vector<double> p = outputs ? signal : softmax(signal);
      if (!sampled) {
        for (std::size_t i = 0; i < m; ++i) q[i] = p[i] * (1 - p[i]);
        return q;
      }
      // y ~ p by inversion of the cumulative sum; one uniform a sample.
      const double u = noise.uniform(element(0));
      std::size_t label = m - 1;
      double cumulative = 0;
      for (std::size_t i = 0; i < m; ++i) {
        cumulative += p[i];
        if (u < cumulative) {
          label = i;
          break;
        }
      }
      for (std::size_t i = 0; i < m; ++i) q[i] = square(p[i] - (i == label ? 1 : 0));
      return q;
    }

    case LNGD_OUTPUT_SIGMOID:
      for (std::size_t i = 0; i < m; ++i) {
        const double p = outputs ? signal[i] : sigmoid(signal[i]);
        const double y = sampled && noise.uniform(element(i)) < p ? 1 : 0;
        // From s, 1 - p is sigmoid(-s): no cancellation.
        q[i] = sampled ? square(p - y) : p * (outputs ? 1 - p : sigmoid(-signal[i]));
      }
      return q;

    case LNGD_OUTPUT_SOFTMAX_GAUSSIAN: {
      // g = J eps with the softmax Jacobian J = diag(p) - p p^T: g = p * (eps - <p, eps>).
      // E g_i^2 = p_i^2 (1 - 2 p_i + sum_j p_j^2)
      const std::vector<double> p = outputs ? signal : softmax(signal);
      double product = 0; // <p, eps> or sum p^2
      for (std::size_t i = 0; i < m; ++i) product += p[i] * (sampled ? noise.gaussian(element(i)) : p[i]);
      for (std::size_t i = 0; i < m; ++i) {
        q[i] = sampled ? square(p[i] * (noise.gaussian(element(i)) - product)) : p[i] * p[i] * (1 - 2 * p[i] + product);
      }
      return q;
    }
    default:
      throw std::logic_error("output");
  }
}

} // namespace twin
