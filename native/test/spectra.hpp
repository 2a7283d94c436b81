// SPDX-License-Identifier: Apache-2.0
//
// Symmetric matrices of which the eigenvalues are known.
#ifndef LNGD_TEST_SPECTRA_HPP
#define LNGD_TEST_SPECTRA_HPP

#include <cmath>
#include <vector>

#include "fixture.hpp"

namespace conformance {

// Q diag(values) Q^T with Q a product of three random reflections: dense, with this spectrum.
inline twin::Matrix with_spectrum(const std::vector<double>& values, std::uint64_t seed) {
  const auto n = static_cast<std::int64_t>(values.size());
  twin::Matrix a(n, n);
  for (std::int64_t i = 0; i < n; ++i) a(i, i) = values[static_cast<std::size_t>(i)];
  Random random(seed);
  for (int reflection = 0; reflection < 3; ++reflection) {
    std::vector<double> v(values.size());
    double squares = 0;
    for (double& x : v) x = random.normal(), squares += x * x;
    // H A H with H = I - 2 v v^T / v^T v, through w = A v.
    std::vector<double> w(values.size(), 0.0);
    double vw = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) w[static_cast<std::size_t>(i)] += a(i, j) * v[static_cast<std::size_t>(j)];
      vw += v[static_cast<std::size_t>(i)] * w[static_cast<std::size_t>(i)];
    }
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        const auto p = static_cast<std::size_t>(i), q = static_cast<std::size_t>(j);
        a(i, j) += -2 / squares * (v[p] * w[q] + w[p] * v[q]) + 4 * vw / (squares * squares) * v[p] * v[q];
      }
  }
  return a;
}

// n values from `low` to `high`, spaced evenly in the logarithm.
inline std::vector<double> geometric(std::int64_t n, double low, double high) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < n; ++i)
    values.push_back(n == 1 ? high : low * std::pow(high / low, static_cast<double>(i) / static_cast<double>(n - 1)));
  return values;
}

// (-1, 2, -1) / 4 plus lambda: eigenvalues 1 - cos(k pi / (n + 1)) halved, in (0, 1), so the condition is about 1 /
// lambda.
inline twin::Matrix tridiagonal(std::int64_t n) {
  twin::Matrix a(n, n);
  for (std::int64_t i = 0; i < n; ++i) {
    a(i, i) = 0.5;
    if (i > 0) a(i, i - 1) = a(i - 1, i) = -0.25;
  }
  return a;
}

} // namespace conformance

#endif // LNGD_TEST_SPECTRA_HPP
