// SPDX-License-Identifier: Apache-2.0
// Matrices for the tests of factor_inverse, a set of them on the device, and the bounds that their factors must keep.
#ifndef LNGD_SIMT_FACTOR_FIXTURE_HPP
#define LNGD_SIMT_FACTOR_FIXTURE_HPP

#include <cmath>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "backend/cuda/factor_inverse.h"
#include "layer_fixture.hpp"

namespace fixture {

using lngd::cuda::DampingRule;
using lngd::cuda::FactorPlan;
using lngd::cuda::FactorResult;
using lngd::cuda::FactorTask;

enum class Family { Dense, Spectrum, LowRank, Diagonal, Tridiagonal, RowScaled, Indefinite, Hopeless, NotANumber };
constexpr Family kFamilies[] = {Family::Dense,      Family::Spectrum,    Family::LowRank,
                                Family::Diagonal,   Family::Tridiagonal, Family::RowScaled,
                                Family::Indefinite, Family::Hopeless,    Family::NotANumber};

inline const char* name(Family family) {
  const char* const names[] = {"dense",      "given spectrum", "low rank", "diagonal",    "tridiagonal",
                               "row scaled", "indefinite",     "hopeless", "not a number"};
  return names[static_cast<int>(family)];
}

// Eigenvalues from 1 down to 1e-6 in equal ratios, in a random basis: H_1 H_2 H_3 D H_3 H_2 H_1 with reflections H.
inline std::vector<double> with_spectrum(int64_t n, Numbers& numbers) {
  std::vector<double> a(static_cast<size_t>(n * n), 0.0);
  for (int64_t i = 0; i < n; ++i)
    a[static_cast<size_t>(i * n + i)] =
        std::pow(1e-6, n == 1 ? 0.0 : static_cast<double>(i) / static_cast<double>(n - 1));
  for (int turn = 0; turn < 3; ++turn) {
    std::vector<double> v(static_cast<size_t>(n)), w(static_cast<size_t>(n), 0.0);
    double norm = 0, dot = 0;
    for (double& x : v) x = static_cast<double>(numbers.next()), norm += x * x;
    for (double& x : v) x *= std::sqrt(2 / norm);
    for (int64_t i = 0; i < n; ++i) // w = A v;  H A H = A - v w' - w v' + (v' w) v v'
      for (int64_t j = 0; j < n; ++j)
        w[static_cast<size_t>(i)] += a[static_cast<size_t>(i * n + j)] * v[static_cast<size_t>(j)];
    for (size_t i = 0; i < v.size(); ++i) dot += v[i] * w[i];
    for (size_t i = 0; i < v.size(); ++i)
      for (size_t j = 0; j < v.size(); ++j) a[i * v.size() + j] += dot * v[i] * v[j] - v[i] * w[j] - w[i] * v[j];
  }
  return a;
}

// A lower triangle with leading dimension padded(n); the rest is NaN.
inline std::vector<float> make(Family family, int64_t n, Numbers& numbers) {
  const int64_t ld = lngd::padded(n), rank = family == Family::LowRank ? (n + 3) / 4 : n + 3;
  std::vector<float> phi(static_cast<size_t>(n * ld), std::nanf(""));
  const bool product = family == Family::Dense || family == Family::LowRank || family == Family::RowScaled;
  const std::vector<float> x = numbers.vector(product ? n * rank : 0);
  const std::vector<double> given = family == Family::Spectrum ? with_spectrum(n, numbers) : std::vector<double>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t k = 0; product && k < rank; ++k)
        sum += static_cast<double>(x[static_cast<size_t>(i * rank + k)]) * x[static_cast<size_t>(j * rank + k)];
      float& p = phi[static_cast<size_t>(i * ld + j)];
      p = static_cast<float>(sum / static_cast<double>(rank));
      if (family == Family::Spectrum) p = static_cast<float>(given[static_cast<size_t>(i * n + j)]);
      if (family == Family::Diagonal) p = i == j ? 1.0f + static_cast<float>(i) : 0.0f;
      if (family == Family::Tridiagonal) p = i == j ? 2.0f : i == j + 1 ? -1.0f : 0.0f;
      if (family == Family::RowScaled) p *= static_cast<float>(std::exp2(i % 7 - 3) * std::exp2(j % 7 - 3));
      if (family == Family::Indefinite) p = i == j ? (i == n - 1 ? -2.0f : 1.0f) : 0.0f;
      if (family == Family::Hopeless) p = i == j ? (i == n - 1 ? -1e9f : 1.0f) : 0.0f;
      if (family == Family::NotANumber) p = i != j ? 0.0f : i == n / 2 ? std::nanf("") : 1.0f;
    }
  return phi;
}

constexpr DampingRule relative(double factor, double floor, double second = 1) {
  return {{LNGD_DAMPING_RELATIVE, factor, floor, 0, 0, second, 0}};
}
constexpr DampingRule absolute(double least, double most) {
  return {{LNGD_DAMPING_ABSOLUTE, 0, 0, least, most, 7, 0}}; // which knows no second factor
}

inline double damping(const DampingRule& rule, double mean, bool second) {
  const lngd::DampingRules& r = rule.rules;
  if (r.rule == LNGD_DAMPING_ABSOLUTE) return std::min(std::max(mean, r.least), r.most);
  return std::max(r.factor * (second ? r.second : 1) * mean, r.floor);
}

// A matrix on the device, and what its memory held before.
struct Matrix {
  int64_t n, ld;
  Family family;
  bool average, due, second;
  std::vector<float> values, before;
  Array<float> phi, inverse, factor;

  Matrix(Family f, int64_t size, Numbers& numbers, bool has_average, bool is_due, bool of_second)
      : n(size),
        ld(lngd::padded(size)),
        family(f),
        average(has_average),
        due(is_due),
        second(of_second),
        values(make(f, size, numbers)),
        before(numbers.vector(size * ld)),
        phi(values.size()),
        inverse(before),
        factor(values.size()) {
    // The rest stays as nobody wrote it, so that reading it is reported.
    for (int64_t i = 0; i < n; ++i)
      REQUIRE(cudaMemcpy(phi.data + i * ld, values.data() + i * ld, static_cast<size_t>(i + 1) * sizeof(float),
                         cudaMemcpyHostToDevice) == cudaSuccess);
  }

  double at(int64_t i, int64_t j) const { return values[static_cast<size_t>(std::max(i, j) * ld + std::min(i, j))]; }
  double mean() const {
    double trace = 0;
    for (int64_t i = 0; i < n; ++i) trace += at(i, i);
    return trace / static_cast<double>(n);
  }
};

// Rows of a product with a full matrix, or, above 600 rows, with random signs: |E v| is at most the norm of E.
constexpr int64_t kExactRows = 600;

// ||E||_1 = ||E||_inf of a symmetric or general E given by its action on a vector.
template <class Apply>
double norm_of(int64_t n, Numbers& numbers, Apply apply) {
  std::vector<double> v(static_cast<size_t>(n)), sums(static_cast<size_t>(n), 0.0);
  const int64_t turns = n > kExactRows ? 4 : n;
  double worst = 0;
  for (int64_t turn = 0; turn < turns; ++turn) {
    for (int64_t i = 0; i < n; ++i)
      v[static_cast<size_t>(i)] = turns == n ? (i == turn ? 1.0 : 0.0) : (numbers.next() < 0 ? -1.0 : 1.0);
    const std::vector<double> e = apply(v);
    for (size_t i = 0; i < e.size(); ++i) {
      sums[i] = turns == n ? sums[i] + std::fabs(e[i]) : std::fabs(e[i]);
      if (!(sums[i] <= worst)) worst = sums[i]; // NaN stays
    }
  }
  return worst;
}

class Checker {
 public:
  Checker(const Matrix& m, double lambda) : m_(m), lambda_(lambda), numbers_(static_cast<uint32_t>(m.n)) {
    for (int64_t i = 0; i < m.n; ++i) {
      double row = 0;
      for (int64_t j = 0; j < m.n; ++j) row += std::fabs(a(i, j));
      norm_ = std::max(norm_, row);
    }
  }
  double a(int64_t i, int64_t j) const { return m_.at(i, j) + (i == j ? lambda_ : 0.0); }

  // Backward stability of Cholesky: ||L L' - A|| <= c n eps ||A||, eps = 2^-24; 20 leaves room for the inverses of
  // diagonal tiles that the kernel multiplies with in place of substitution.
  void factor(const std::vector<float>& l) {
    const double residual = norm_of(m_.n, numbers_, [&](const std::vector<double>& v) {
      std::vector<double> t(v.size(), 0.0), e(v.size(), 0.0);
      for (int64_t i = 0; i < m_.n; ++i)
        for (int64_t k = 0; k <= i; ++k) t[at(k)] += l[static_cast<size_t>(i * m_.ld + k)] * v[at(i)];
      for (int64_t i = 0; i < m_.n; ++i) {
        for (int64_t k = 0; k <= i; ++k) e[at(i)] += l[static_cast<size_t>(i * m_.ld + k)] * t[at(k)];
        for (int64_t j = 0; j < m_.n; ++j)
          if (v[at(j)] != 0) e[at(i)] -= a(i, j) * v[at(j)];
      }
      return e;
    });
    CHECK_WITHIN(residual, 20.0 * static_cast<double>(m_.n) * 0x1p-24 * norm_);
  }

  // X = L^-1 of the L that was kept: ||L X - I|| <= c n eps ||L|| ||X||, c and eps as for the factor.
  void triangle(const std::vector<float>& l, const std::vector<float>& x) {
    const auto lower = [&](const std::vector<float>& t, const std::vector<double>& v) {
      std::vector<double> sums(v.size(), 0.0);
      for (int64_t i = 0; i < m_.n; ++i)
        for (int64_t j = 0; j <= i; ++j) sums[at(i)] += t[static_cast<size_t>(i * m_.ld + j)] * v[at(j)];
      return sums;
    };
    const double sizes = norm_of(m_.n, numbers_, [&](const std::vector<double>& v) { return lower(l, v); }) *
                         norm_of(m_.n, numbers_, [&](const std::vector<double>& v) { return lower(x, v); });
    const double residual = norm_of(m_.n, numbers_, [&](const std::vector<double>& v) {
      std::vector<double> e = lower(l, lower(x, v));
      for (size_t i = 0; i < e.size(); ++i) e[i] -= v[i];
      return e;
    });
    CHECK_WITHIN(residual, 20.0 * static_cast<double>(m_.n) * 0x1p-24 * sizes);
  }

  // The residual of a computed inverse grows with the condition number: ||A X - I|| <= c n eps ||A|| ||X||.
  void inverse(const std::vector<float>& x) {
    int64_t asymmetric = 0;
    double norm = 0;
    for (int64_t i = 0; i < m_.n; ++i) {
      double row = 0;
      for (int64_t j = 0; j < m_.n; ++j) {
        row += std::fabs(x[static_cast<size_t>(i * m_.ld + j)]);
        asymmetric += x[static_cast<size_t>(i * m_.ld + j)] != x[static_cast<size_t>(j * m_.ld + i)];
      }
      norm = std::max(norm, row);
    }
    CHECK_EQ(asymmetric, 0);
    const double residual = norm_of(m_.n, numbers_, [&](const std::vector<double>& v) {
      std::vector<double> t(v.size(), 0.0), e(v.size(), 0.0);
      for (int64_t i = 0; i < m_.n; ++i)
        for (int64_t j = 0; j < m_.n; ++j)
          if (v[at(j)] != 0) t[at(i)] += x[static_cast<size_t>(i * m_.ld + j)] * v[at(j)];
      for (int64_t i = 0; i < m_.n; ++i) {
        for (int64_t j = 0; j < m_.n; ++j) e[at(i)] += a(i, j) * t[at(j)];
        e[at(i)] -= v[at(i)];
      }
      return e;
    });
    CHECK_WITHIN(residual, (4.0 + static_cast<double>(m_.n)) * 0x1p-24 * norm_ * norm);
  }

 private:
  static size_t at(int64_t i) { return static_cast<size_t>(i); }
  const Matrix& m_;
  double lambda_, norm_ = 0;
  Numbers numbers_;
};

// A set of matrices that are inverted in one call. Each is a layer of its own as far as `due` goes; every other one is
// a block of a second factor.
struct FactorSet {
  std::vector<std::unique_ptr<Matrix>> matrices;
  bool triangles = false; // L^-1 is wanted and not the inverse

  void add(Family family, int64_t n, Numbers& numbers, bool average = true, bool due = true) {
    matrices.push_back(std::make_unique<Matrix>(family, n, numbers, average, due, matrices.size() % 2 == 1));
  }

  std::vector<FactorResult> run(const DampingRule& rule, int64_t workspace = int64_t{256} << 20) const {
    std::vector<LayerRecord> host_records(2);
    host_records[1].has_average = 1;
    const Array<LayerRecord> records(host_records);
    std::vector<FactorTask> tasks;
    std::vector<int32_t> due;
    for (const auto& m : matrices) {
      FactorTask task{};
      task.phi = m->phi.data;
      task.inverse = m->inverse.data;
      task.factor = m->factor.data;
      task.record = records.data + (m->average ? 1 : 0);
      task.ld = m->ld;
      task.size = static_cast<int32_t>(m->n);
      task.layer = static_cast<int32_t>(due.size());
      task.second = m->second;
      task.triangle = triangles;
      tasks.push_back(task);
      due.push_back(m->due ? 1 : 0);
    }
    const FactorPlan plan(tasks, workspace);
    const Array<FactorTask> device_tasks(plan.tasks());
    std::vector<int32_t> starts = plan.starts();
    starts.push_back(0); // an array of nothing cannot be allocated
    const Array<int32_t> device_starts(starts), device_due(due);
    const Array<float> workspace_memory(static_cast<size_t>(plan.workspace_bytes() / 4 + 1));
    const Array<FactorResult> results(tasks.size());
    CHECK_EQ(lngd::cuda::launch_factor_inverse(plan, {device_tasks.data, device_starts.data, workspace_memory.data, 3},
                                               rule, device_due.data, results.data, nullptr),
             cudaSuccess);
    finish_launches();
    return results.read();
  }

  // Every matrix against what its family and its flags call for.
  void check(const DampingRule& rule, const std::vector<FactorResult>& results) const {
    for (size_t i = 0; i < matrices.size(); ++i) {
      const Matrix& m = *matrices[i];
      const conformance::Scope scope(std::string(name(m.family)) + ", size " + std::to_string(m.n));
      check_one(m, rule, results[i], triangles);
    }
  }

 private:
  static void check_one(const Matrix& m, const DampingRule& rule, const FactorResult& result, bool triangle) {
    const bool tried = m.average && m.due;
    const bool fails = m.family == Family::Hopeless || m.family == Family::NotANumber;
    const std::vector<float> inverse = m.inverse.read();
    CHECK_EQ(result.renewed, tried && !fails ? 1 : 0);
    // Padding always stays, with triangles what is above the diagonal; everything does where nothing was renewed.
    int64_t changed = 0;
    for (int64_t i = 0; i < m.n; ++i)
      for (int64_t j = !result.renewed ? 0 : triangle ? i + 1 : m.n; j < m.ld; ++j)
        changed += inverse[static_cast<size_t>(i * m.ld + j)] != m.before[static_cast<size_t>(i * m.ld + j)];
    CHECK_EQ(changed, 0);
    if (!tried || fails) {
      CHECK_EQ(result.retries, tried ? 6 : 0);
      const int64_t pivot = m.family == Family::Hopeless ? m.n - 1 : m.n / 2;
      CHECK_EQ(result.failed_pivot, static_cast<int32_t>(tried ? pivot : -1));
      CHECK(result.lambda == 0);
      return;
    }
    const double first = damping(rule, m.mean(), m.second);
    CHECK_NEAR(result.lambda, first * std::pow(10.0, result.retries), 1e-12 * result.lambda);
    if (m.family == Family::Indefinite) { // needs lambda > 2: one retry less would not have been enough
      CHECK_GT(result.lambda, 2.0);
      CHECK_LE(result.lambda / 10, 2.0);
      CHECK_EQ(result.failed_pivot, static_cast<int32_t>(m.n - 1));
    } else {
      CHECK_EQ(result.retries, 0);
      CHECK_EQ(result.failed_pivot, -1);
    }
    Checker checker(m, result.lambda);
    checker.factor(m.factor.read());
    if (triangle)
      checker.triangle(m.factor.read(), inverse);
    else
      checker.inverse(inverse);
  }
};

// LNGD_FACTOR_SIZES=129,1152,4608 replaces the sizes of the tests, for a device that has the speed for it.
inline std::vector<int64_t> factor_sizes(const std::vector<int64_t>& usual) {
  const char* const given = std::getenv("LNGD_FACTOR_SIZES");
  if (given == nullptr) return usual;
  std::vector<int64_t> sizes;
  std::istringstream list(given);
  for (std::string item; std::getline(list, item, ',');) sizes.push_back(std::stoll(item));
  return sizes;
}

} // namespace fixture
#endif
