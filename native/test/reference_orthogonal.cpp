// SPDX-License-Identifier: Apache-2.0
//
// See reference_orthogonal.hpp.
#include "reference_orthogonal.hpp"

#include <algorithm>
#include <cmath>

namespace twin {
namespace {

struct Quintic {
  double a, b, c;
  double at(double s) const { return s * of_square(s * s); }
  double of_square(double s) const { return a + b * s + c * s * s; } // what a matrix is multiplied with
  double slope(double s) const { return a + 3 * b * s * s + 5 * c * s * s * s * s; }
};
constexpr Quintic kSteps[] = {{7.7110, -22.1138, 16.2487}, {3.2153, -2.4112, 0.5013}};

double chained_slope() {
  double most = 0;
  for (int k = 0; k <= 100000; ++k) {
    double s = k / 100000.0, product = 1;
    for (const Quintic& step : kSteps) product *= step.slope(s), s = step.at(s);
    most = std::max(most, std::fabs(product));
  }
  return most;
}

// What an error of 1 in a product of the Gram form becomes in O = P2 P1 X, per direction: the largest divided
// difference over pairs of singular values i, j. (newton_schulz.h: S, P = P1(S), R = S P, S1 = R P, P2(S1), Q = P2 P1.)
struct Gains {
  double gram = 0, first = 0, r = 0, gram1 = 0, second = 0;

  Gains() {
    const auto& [one, two] = kSteps;
    const int count = 400;
    for (int i = 0; i <= count; ++i)
      for (int j = 0; j <= count; ++j) {
        const double si = std::pow(i / double(count), 2), sj = std::pow(j / double(count), 2),
                     sigma = j / double(count);
        const double pi = one.of_square(si), pj = one.of_square(sj), ui = si * pi * pi, uj = sj * pj * pj;
        const double p_slope = one.b + one.c * (si + sj), two_slope = two.b + two.c * (ui + uj);
        const double of_u = two_slope * pj * sigma, of_r = of_u * pj,
                     of_p = two.of_square(ui) * sigma + of_u * si * (pi + pj);
        gram1 = std::max(gram1, std::fabs(of_u));
        r = std::max(r, std::fabs(of_r));
        first = std::max(first, std::fabs(of_p));
        gram = std::max(gram, std::fabs(of_p * p_slope + of_r * pj));
        second = std::max(second, std::fabs(pj * sigma));
      }
  }
};

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
  static const double amplification = chained_slope();
  static const Gains gains;
  const auto& [one, two] = kSteps;
  Orthogonalised result;
  const double size = norm(given);
  Matrix x = given;
  for (double& value : x.values) value = size > 0 ? value / size : 0; // so that no square leaves double's range
  const double root = std::sqrt(norm(multiply(x, transposed(x))));
  for (double& value : x.values) value = root > 0 ? value / root : 0;
  result.norm = root * size;
  result.amplification = amplification;
  // Of each product the largest that it can be, its factors in spectral norm but one.
  const double wide = norm(x), most_p = one.a, most_u = std::pow(one.at(1), 2); // both at an end of [0, 1]
  const double polynomial = std::fabs(two.b) + 2 * std::fabs(two.c) * most_u;
  result.rounding = gains.gram * wide * wide + gains.first * (std::fabs(one.b) + std::fabs(one.c)) + gains.r * most_p +
                    gains.gram1 * most_p * most_p + gains.second * polynomial * most_p * most_p;
  for (const Quintic& step : kSteps) {
    const Matrix cubic = multiply(multiply(x, transposed(x)), x);
    const Matrix quintic = multiply(multiply(x, transposed(x)), cubic);
    for (std::size_t k = 0; k < x.values.size(); ++k)
      x.values[k] = step.a * x.values[k] + step.b * cubic.values[k] + step.c * quintic.values[k];
  }
  result.rounding += 2 * one.a * two.a * wide; // Q and Q X
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
    const Matrix whitened = multiply(multiply(b, x), transposed(a));
    if (start.orthogonalise) result.groups.push_back(orthogonalise(whitened));
    const Matrix& middle = start.orthogonalise ? result.groups.back().values : whitened;
    const Matrix back = multiply(multiply(transposed(b), middle), a);
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
