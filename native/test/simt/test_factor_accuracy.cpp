// SPDX-License-Identifier: Apache-2.0
// The inverse of large matrices, whose updates are 3xTF32, against one in float32 without tensor cores, in the norm of
// all elements. The bounds of factor_fixture.hpp hold for the worst element of the worst matrix: they would let
// thousands of times the error of float32 pass.
#include "factor_fixture.hpp"

namespace {

using namespace fixture;

// L and A^-1, with n columns a row.
struct Inverse {
  std::vector<float> l, x;
};

Inverse device_inverse(const Matrix& m) {
  const std::vector<float> l = m.factor.read(), x = m.inverse.read();
  Inverse result;
  for (int64_t i = 0; i < m.n; ++i)
    for (int64_t j = 0; j < m.n; ++j) {
      result.l.push_back(j > i ? 0.0f : l[static_cast<size_t>(i * m.ld + j)]);
      result.x.push_back(x[static_cast<size_t>(i * m.ld + j)]);
    }
  return result;
}

// Cholesky by columns, the inverse of L by substitution, X^T X: float and fused multiply-add everywhere.
Inverse float_inverse(const Matrix& m, double lambda) {
  const auto n = static_cast<size_t>(m.n);
  std::vector<float> l(n * n, 0.0f), x(n * n, 0.0f), inverse(n * n);
  for (size_t j = 0; j < n; ++j)
    for (size_t i = j; i < n; ++i) {
      auto sum = static_cast<float>(m.at(static_cast<int64_t>(i), static_cast<int64_t>(j)) + (i == j ? lambda : 0.0));
      for (size_t k = 0; k < j; ++k) sum = std::fmaf(-l[i * n + k], l[j * n + k], sum);
      l[i * n + j] = i == j ? std::sqrt(sum) : sum / l[j * n + j];
    }
  for (size_t i = 0; i < n; ++i) // row i of X from those above it
    for (size_t j = 0; j <= i; ++j) {
      float sum = i == j ? 1.0f : 0.0f;
      for (size_t k = j; k < i; ++k) sum = std::fmaf(-l[i * n + k], x[k * n + j], sum);
      x[i * n + j] = sum / l[i * n + i];
    }
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j <= i; ++j) {
      float sum = 0;
      for (size_t k = i; k < n; ++k) sum = std::fmaf(x[k * n + i], x[k * n + j], sum);
      inverse[i * n + j] = inverse[j * n + i] = sum;
    }
  return {l, inverse};
}

// || L L^T - A ||_F / || A ||_F and || A X - I ||_F / sqrt(n).
struct Errors {
  double factor, inverse;
};

Errors errors(const Matrix& m, double lambda, const Inverse& of) {
  const auto n = static_cast<size_t>(m.n);
  double matrix = 0, factor = 0, inverse = 0;
  std::vector<double> a(n), residual(n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      a[j] = m.at(static_cast<int64_t>(i), static_cast<int64_t>(j)) + (i == j ? lambda : 0.0);
      double product = -a[j];
      for (size_t k = 0; k <= std::min(i, j); ++k) product += static_cast<double>(of.l[i * n + k]) * of.l[j * n + k];
      matrix += a[j] * a[j], factor += product * product;
      residual[j] = i == j ? -1.0 : 0.0;
    }
    for (size_t k = 0; k < n; ++k)
      for (size_t j = 0; j < n; ++j) residual[j] += a[k] * of.x[k * n + j];
    for (const double r : residual) inverse += r * r;
  }
  return {std::sqrt(factor / matrix), std::sqrt(inverse / static_cast<double>(n))};
}

} // namespace

TEST(kernel_factor_inverse_large_is_as_accurate_as_float32) {
  start();
  REQUIRE(lngd::cuda::prepare_factor_inverse() == cudaSuccess);
  // Conditions of about 1e5, 1e6 and 1e4.
  struct Case {
    Family family;
    double lambda;
  };
  for (const int64_t n : factor_sizes({140, 300}))
    for (const Case& c : {Case{Family::Dense, 1e-5}, {Family::Spectrum, 1e-8}, {Family::LowRank, 1e-4}}) {
      const conformance::Scope scope(std::string(name(c.family)) + ", size " + std::to_string(n));
      Numbers numbers(static_cast<uint32_t>(n));
      FactorSet set;
      set.add(c.family, n, numbers);
      const FactorResult result = set.run(absolute(c.lambda, c.lambda))[0];
      CHECK_EQ(result.retries, 0);
      const Matrix& m = *set.matrices[0];
      const Errors ours = errors(m, c.lambda, device_inverse(m));
      const Errors plain = errors(m, c.lambda, float_inverse(m, c.lambda));
      // Products with X_kk in place of substitution cost the condition of a diagonal tile in L L^T - A: 3.2 times the
      // error were seen, of updates in float as well. A X - I does not show it: 1.2 times.
      CHECK_WITHIN(ours.factor, 4 * plain.factor);
      CHECK_WITHIN(ours.inverse, 2 * plain.inverse);
    }
}
