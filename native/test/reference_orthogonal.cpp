// SPDX-License-Identifier: Apache-2.0
//
// See reference_orthogonal.hpp.
#include "reference_orthogonal.hpp"

#include <algorithm>
#include <cmath>

namespace twin {
namespace {

constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;
constexpr int kSteps = 3;

double polynomial(double s) { return kA * s + kB * s * s * s + kC * s * s * s * s * s; }
double slope(double s) { return kA + 3 * kB * s * s + 5 * kC * s * s * s * s; }

constexpr double kLargest = 1.2024; // p(0.5545), the maximum of p on [0, 1], from which p goes below 1 again

double largest_slope(double end) {
  double most = 0;
  for (int k = 0; k <= 10000; ++k) most = std::max(most, std::fabs(slope(end * k / 10000)));
  return most;
}

double chained_slope() {
  double most = 0;
  for (int k = 0; k <= 100000; ++k) {
    double s = k / 100000.0, product = 1;
    for (int step = 0; step < kSteps; ++step) product *= slope(s), s = polynomial(s);
    most = std::max(most, std::fabs(product));
  }
  return most;
}

Matrix transposed(const Matrix& a) {
  Matrix t(a.cols, a.rows);
  for (std::int64_t i = 0; i < a.rows; ++i)
    for (std::int64_t j = 0; j < a.cols; ++j) t(j, i) = a(i, j);
  return t;
}

Matrix rows_of(const Matrix& a, std::int64_t begin, std::int64_t count) {
  Matrix part(count, a.cols);
  std::copy_n(a.values.begin() + begin * a.cols, count * a.cols, part.values.begin());
  return part;
}

// A = C C^T, lower; false where A is not positive definite.
bool cholesky(const Matrix& a, Matrix& c) {
  c = Matrix(a.rows, a.rows);
  for (std::int64_t j = 0; j < a.rows; ++j)
    for (std::int64_t i = j; i < a.rows; ++i) {
      double sum = a(i, j);
      for (std::int64_t k = 0; k < j; ++k) sum -= c(i, k) * c(j, k);
      if (i == j && !(sum > 0)) return false;
      c(i, j) = i == j ? std::sqrt(sum) : sum / c(j, j);
    }
  return true;
}

} // namespace

Triangles triangles(const Matrix& factor, std::int64_t groups, std::int64_t block, double damping, double floor) {
  Triangles all;
  all.values = Matrix(factor.rows, factor.cols);
  all.lambda_min = HUGE_VAL;
  const std::int64_t d = factor.cols, size = block == 0 ? d : block;
  for (std::int64_t group = 0; group < groups; ++group)
    for (std::int64_t begin = 0; begin < d; begin += size) {
      const std::int64_t n = std::min(size, d - begin), top = group * d + begin;
      double trace = 0;
      for (std::int64_t i = 0; i < n; ++i) trace += factor(top + i, begin + i);
      double lambda = std::max(damping * trace / static_cast<double>(n), floor);
      Matrix c;
      for (int tries = 0; tries <= 6; ++tries, lambda *= 10, ++all.retries) {
        Matrix damped(n, n);
        for (std::int64_t i = 0; i < n; ++i)
          for (std::int64_t j = 0; j < n; ++j) damped(i, j) = factor(top + i, begin + j) + (i == j ? lambda : 0);
        if (cholesky(damped, c)) break;
      }
      const Matrix inverted = inverse(c);
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j <= i; ++j) all.values(top + i, begin + j) = inverted(i, j);
      all.lambda_min = std::min(all.lambda_min, lambda);
      all.lambda_max = std::max(all.lambda_max, lambda);
      all.condition = std::max(all.condition, 1 + trace / lambda);
    }
  return all;
}

Orthogonalised orthogonalise(const Matrix& given) {
  static const double amplification = chained_slope(), growth = largest_slope(kLargest);
  Orthogonalised result;
  result.norm = norm(given);
  result.amplification = amplification;
  Matrix x = given;
  for (double& value : x.values) value = result.norm > 0 ? value / result.norm : 0;
  const double terms = kA - kB * std::pow(kLargest, 2) + kC * std::pow(kLargest, 4);
  for (int step = 0; step < kSteps; ++step) {
    result.rounding += terms * norm(x) * std::pow(growth, kSteps - 1 - step);
    const Matrix cubic = multiply(multiply(x, transposed(x)), x);
    const Matrix quintic = multiply(multiply(x, transposed(x)), cubic);
    for (std::size_t k = 0; k < x.values.size(); ++k)
      x.values[k] = kA * x.values[k] + kB * cubic.values[k] + kC * quintic.values[k];
  }
  result.values = x;
  return result;
}

OrthogonalStep orthogonal_step(const OrthogonalStart& start) {
  const lngd_config& c = start.config;
  const std::int64_t m = start.gradient.rows, d = start.gradient.cols, rows = m / start.groups;
  const double tau_m = c.momentum, rate = c.learning_rate * start.factor;
  OrthogonalStep result;
  Matrix gradient = start.gradient;
  if (c.decay == LNGD_DECAY_COUPLED)
    for (std::size_t k = 0; k < gradient.values.size(); ++k)
      gradient.values[k] += c.weight_decay * start.weights.values[k];
  result.momentum = start.momentum;
  result.averaged = gradient;
  for (std::size_t k = 0; k < gradient.values.size(); ++k) {
    double& momentum = result.momentum.values[k];
    momentum = tau_m * momentum + (1 - tau_m) * gradient.values[k];
    result.averaged.values[k] = c.nesterov ? (1 - tau_m) * gradient.values[k] + tau_m * momentum : momentum;
  }
  result.direction = Matrix(m, d);
  for (std::int64_t g = 0; g < start.groups; ++g) {
    const Matrix a = rows_of(start.phi_triangle, g * d, d), b = rows_of(start.psi_triangle, g * rows, rows);
    const Matrix x = rows_of(result.averaged, g * rows, rows);
    result.groups.push_back(orthogonalise(multiply(multiply(b, x), transposed(a))));
    const Matrix back = multiply(multiply(transposed(b), result.groups.back().values), a);
    std::copy(back.values.begin(), back.values.end(), result.direction.values.begin() + g * rows * d);
  }
  result.inner = dot(result.direction, gradient);
  const double direction = norm(result.direction);
  const double scale = direction > 0 ? c.trust_ratio * std::max(norm(start.weights), 1e-3) / direction : 1;
  double decay = c.decay == LNGD_DECAY_COUPLED ? 0 : rate * c.weight_decay;
  if (c.decay == LNGD_DECAY_TRUST) decay *= c.trust_ratio;
  result.weights = start.weights;
  for (std::size_t k = 0; k < result.weights.values.size(); ++k)
    result.weights.values[k] += -decay * start.weights.values[k] - rate * scale * result.direction.values[k];
  result.length = rate * scale * direction;
  return result;
}

} // namespace twin
