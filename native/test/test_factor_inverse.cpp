// SPDX-License-Identifier: Apache-2.0
//
// factor_inverse alone: families of factors put in with lngd_layer_write, sizes from 1 to 4608; residual, symmetry,
// retries, failure.
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "single.hpp"
#include "spectra.hpp"

using namespace conformance;

namespace {

struct Inverted {
  twin::Matrix damped; // what was inverted: the float32 factor + lambda I
  twin::Matrix inverse;
  lngd_health health;
};

// Inverts one full n x n factor with the given damping.
Inverted invert(const twin::Matrix& phi, double lambda) {
  const std::int64_t n = phi.rows;
  lngd_config config = bare_config();
  config.damping = LNGD_DAMPING_RELATIVE;
  config.damping_factor = 0;
  config.damping_floor = lambda;
  Single one(config, dense(n, 1, false));
  one.write(LNGD_FIELD_PHI, std::vector<float>(phi.values.begin(), phi.values.end()));
  one.write(LNGD_FIELD_PSI, {1.0f});
  REQUIRE_OK(one.step());
  Inverted result{rounded(phi), one.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, n, n), one.health()};
  for (std::int64_t i = 0; i < n; ++i) result.damped(i, i) += result.health.lambda_phi_max;
  return result;
}

// || A X - I ||_F / sqrt(n): the residual of a typical column. Cholesky, triangular inverse and product give c u cond
// (Higham, Accuracy and Stability, ch. 14); c grows like sqrt(n) in practice, n / 3 in the worst case, which for 700
// and cond 1e6 would say nothing.
void check_residual(const Inverted& result, double condition) {
  const std::int64_t n = result.damped.rows;
  twin::Matrix residual = twin::multiply(result.damped, result.inverse);
  for (std::int64_t i = 0; i < n; ++i) residual(i, i) -= 1;
  const double root = std::sqrt(static_cast<double>(n));
  CHECK_WITHIN(twin::norm(residual) / root, (2 + root / 8) * kEps * condition);
  long asymmetric = 0;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < i; ++j) asymmetric += result.inverse(i, j) != result.inverse(j, i);
  CHECK_EQ(asymmetric, 0);
  CHECK_EQ(result.health.retries, 0);
  CHECK_EQ(result.health.failed_inverses, 0);
  CHECK_EQ(result.health.inverse_updates, 1);
}

std::vector<std::int64_t> sizes() {
  if (quick()) return {1, 3, 16, 33, 130};
  return {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 65, 100, 127, 128, 129, 192, 257, 300};
}

} // namespace

TEST(inverse_given_spectrum) {
  for (const std::int64_t n : sizes())
    for (const double condition : {1.0, 100.0, 1e4, 1e6}) {
      const Scope scope("n " + std::to_string(n) + " condition " + show(condition));
      // Largest eigenvalue 1, lambda at the small end: Phi itself is then twice as near to singular.
      const double lambda = 0.5 / condition;
      check_residual(
          invert(with_spectrum(geometric(n, 0.5 / condition, 1 - lambda), static_cast<std::uint64_t>(n)), lambda),
          condition);
    }
}

SLOW_TEST(inverse_large) {
  for (const std::int64_t n : {511, 513, 700}) {
    const Scope scope("n " + std::to_string(n));
    check_residual(invert(with_spectrum(geometric(n, 5e-7, 1), static_cast<std::uint64_t>(n)), 5e-7), 1e6);
  }
}

// A X v - v for random signs v: what check_residual asks, without a product of two n x n matrices in double.
static void check_residual_by_vectors(const Inverted& result, double condition) {
  const std::int64_t n = result.damped.rows;
  const double root = std::sqrt(static_cast<double>(n));
  Random random(7);
  for (int repeat = 0; repeat < 3; ++repeat) {
    std::vector<double> v(static_cast<std::size_t>(n)), x(v.size(), 0.0);
    for (double& value : v) value = random.uniform() < 0.5 ? -1 : 1;
    double squares = 0;
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j)
        x[static_cast<std::size_t>(i)] += result.inverse(i, j) * v[static_cast<std::size_t>(j)];
    for (std::int64_t i = 0; i < n; ++i) {
      double residual = -v[static_cast<std::size_t>(i)];
      for (std::int64_t j = 0; j < n; ++j) residual += result.damped(i, j) * x[static_cast<std::size_t>(j)];
      squares += residual * residual;
    }
    CHECK_WITHIN(std::sqrt(squares) / root, (2 + root / 8) * kEps * condition);
  }
  CHECK_EQ(result.health.retries, 0);
  CHECK_EQ(result.health.inverse_updates, 1);
}

TEST(inverse_tridiagonal) {
  for (const std::int64_t n : sizes())
    for (const double lambda : {1e-2, 1e-5}) {
      const Scope scope("n " + std::to_string(n) + " lambda " + show(lambda));
      check_residual(invert(tridiagonal(n), lambda), 1 / lambda);
    }
}

// The factors of wide layers: 4608 = 512 channels x 3 x 3, the largest of ResNet-18 and ResNet-50.
SLOW_TEST(inverse_of_the_widest_layers) {
  if (std::getenv("LNGD_CPU")) skip("OpenBLAS does the work whatever the instruction set of our kernels");
  for (const std::int64_t n : {1152, 2304, 4608}) {
    const Scope scope("n " + std::to_string(n));
    check_residual_by_vectors(invert(tridiagonal(n), 1e-4), 1e4);
    check_residual_by_vectors(invert(with_spectrum(geometric(n, 5e-7, 1), static_cast<std::uint64_t>(n)), 5e-7), 1e6);
  }
}

// The common case: fewer samples than inputs.
TEST(inverse_low_rank) {
  for (const std::int64_t n : sizes())
    for (const std::int64_t rank : {std::int64_t{0}, std::int64_t{1}, n / 3}) {
      const Scope scope("n " + std::to_string(n) + " rank " + std::to_string(rank));
      std::vector<double> values(static_cast<std::size_t>(n), 0.0);
      for (std::int64_t i = 0; i < rank; ++i) values[static_cast<std::size_t>(i)] = 10;
      check_residual(invert(with_spectrum(values, static_cast<std::uint64_t>(n)), 1e-2), rank == 0 ? 1 : 1001);
    }
}

// Diagonal: elementwise, however far the entries are apart.
TEST(inverse_diagonal) {
  for (const std::int64_t n : sizes()) {
    const Scope scope("n " + std::to_string(n));
    twin::Matrix phi(n, n);
    const std::vector<double> values = geometric(n, 1e-8, 1e8);
    for (std::int64_t i = 0; i < n; ++i) phi(i, i) = values[static_cast<std::size_t>(i)];
    const Inverted result = invert(phi, 1e-9);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j)
        // Addition, root, reciprocal and square: 6 roundings. CUDA squares in 3xTF32 where there are more than 128
        // rows: 2^-20 of it are left out at most.
        CHECK_NEAR(result.inverse(i, j) * result.damped(i, j), i == j ? 1.0 : 0.0, 8 * kEps + (n > 128 ? 0x1p-20 : 0));
  }
}

// A = D B D with D from 1e-3 to 1e3: cond(A) is 1e12 and more, but Cholesky does not mind a scaling (van der Sluis), so
// that the residual scaled back, D^-1 (A X - I) D, is bounded by u cond(B).
TEST(inverse_badly_scaled_rows) {
  for (const std::int64_t n : sizes()) {
    const Scope scope("n " + std::to_string(n));
    const std::vector<double> scale = geometric(n, 1e-3, 1e3);
    twin::Matrix phi = with_spectrum(geometric(n, 0.1, 1), static_cast<std::uint64_t>(n));
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j)
        phi(i, j) *= scale[static_cast<std::size_t>(i)] * scale[static_cast<std::size_t>(j)];
    const Inverted result = invert(phi, 1e-12);
    twin::Matrix residual = twin::multiply(result.damped, result.inverse);
    for (std::int64_t i = 0; i < n; ++i) residual(i, i) -= 1;
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j)
        residual(i, j) *= scale[static_cast<std::size_t>(j)] / scale[static_cast<std::size_t>(i)];
    const double root = std::sqrt(static_cast<double>(n));
    CHECK_WITHIN(twin::norm(residual) / root, (4 + root / 4) * kEps * 10);
    CHECK_EQ(result.health.retries, 0);
  }
}

// The same factor, brought in by observing: a_k = sqrt(N l_k) q_k and g = 1 give Phi = sum l_k q_k q_k^T.
TEST(inverse_of_observed_factor) {
  constexpr std::int64_t n = 40;
  const std::vector<double> spectrum = geometric(n, 1e-4, 1);
  const twin::Matrix half = with_spectrum(
      [&] {
        std::vector<double> roots;
        for (const double value : spectrum) roots.push_back(std::sqrt(value * n));
        return roots;
      }(),
      8);
  lngd_config config = bare_config();
  config.fisher = LNGD_FISHER_PROVIDED;
  config.damping_min = config.damping_max = 1e-4;
  Single one(config, dense(n, 1, false));
  Tensor inputs(n, n), ones(n, std::int64_t{1}, Layout::Compact);
  inputs.fill(half); // symmetric: its rows are sum_k sqrt(N l_k) q_kn q_k, and sum over rows of a a^T is half^2
  ones.fill(1.0);
  REQUIRE_OK(one.observe(inputs, ones, LNGD_SIGNAL_GRADIENTS));
  REQUIRE_OK(one.step());
  const twin::Matrix phi = one.optimizer.read(0, LNGD_FIELD_PHI, n, n);
  const twin::Matrix wanted = with_spectrum(spectrum, 8);
  CHECK_WITHIN(distance(phi, wanted), 8 * kEps * twin::norm(wanted));
  Inverted result{phi, one.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, n, n), one.health()};
  CHECK_NEAR(result.health.lambda_phi_max, 1e-4, 1e-19);
  for (std::int64_t i = 0; i < n; ++i) result.damped(i, i) += 1e-4;
  check_residual(result, 1e4);
}

// ------------------------------------------------------------------ retries and failure

namespace {

lngd_config clipped(double lambda) {
  lngd_config config = bare_config();
  config.damping_min = config.damping_max = lambda;
  return config;
}

std::vector<float> diagonal(std::int64_t n, std::int64_t bad, float value) {
  std::vector<float> phi(static_cast<std::size_t>(n * n), 0.0f);
  for (std::int64_t i = 0; i < n; ++i) phi[static_cast<std::size_t>(i * (n + 1))] = i == bad ? value : 1.0f;
  return phi;
}

} // namespace

// Indefinite factors cannot be observed but can be written: -0.5 needs lambda = 1, three retries from 1e-3.
TEST(inverse_retries_with_ten_times_the_damping) {
  for (const std::int64_t n : {2, 20, 140, 600}) {
    const Scope scope("n " + std::to_string(n));
    Single one(clipped(1e-3), dense(n, 1, false));
    one.write(LNGD_FIELD_PHI, diagonal(n, n - 1, -0.5f));
    one.write(LNGD_FIELD_PSI, {1.0f});
    REQUIRE_OK(one.step());
    const lngd_health health = one.health();
    CHECK_EQ(health.retries, 3);
    CHECK_EQ(health.failed_inverses, 0);
    CHECK_NEAR(health.lambda_phi_max, 1.0, 1e-12);
    const twin::Matrix inverse = one.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, n, n);
    CHECK_NEAR(inverse(n - 1, n - 1), 2.0, 8 * kEps);
    CHECK_NEAR(inverse(0, 0), 0.5, 8 * kEps);
  }
}

// Rank one and so large that lambda is lost in rounding: all entries 2^20, pivot 2 is exactly 2^20 - 2^20 until lambda
// reaches the last place (1/8).
TEST(inverse_retries_where_rounding_eats_the_damping) {
  lngd_config config = clipped(1e-3);
  config.fisher = LNGD_FISHER_PROVIDED;
  Single one(config, dense(6, 1, false));
  Tensor inputs(2, 6), gradients(2, 1);
  inputs.fill(1024.0);
  gradients.fill(1.0);
  REQUIRE_OK(one.observe(inputs, gradients, LNGD_SIGNAL_GRADIENTS));
  REQUIRE_OK(one.step());
  const lngd_health health = one.health();
  CHECK_GE(health.retries, 1);
  CHECK_LE(health.retries, 4);
  CHECK_EQ(health.failed_inverses, 0);
  CHECK_NEAR(health.lambda_phi_max, 1e-3 * std::pow(10.0, static_cast<double>(health.retries)), 1e-9);
  const twin::Matrix inverse = one.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, 6, 6);
  CHECK(twin::finite(inverse));
}

// The same in rows that come after an update by 128 others: A = (c I, B^T; B, B B^T / c) with c = 2^20 is singular, and
// lambda leaves pivots of about 2 lambda in its last 12 rows, among roundings of 2^20. Sums that are cut instead of
// rounded, as those of tensor cores, would leave 2^20 2^-23 more than there is, and no retry.
TEST(inverse_retries_where_updates_eat_the_damping) {
  constexpr std::int64_t n = 140, first = 128;
  constexpr double c = 1048576;
  Random random(3);
  twin::Matrix phi(n, n);
  for (std::int64_t i = 0; i < first; ++i) phi(i, i) = c;
  for (std::int64_t i = first; i < n; ++i)
    for (std::int64_t j = 0; j < first; ++j)
      phi(i, j) = phi(j, i) = std::ldexp(static_cast<float>(random.normal()), 17);
  for (std::int64_t i = first; i < n; ++i)
    for (std::int64_t j = first; j < n; ++j)
      for (std::int64_t k = 0; k < first; ++k) phi(i, j) += phi(i, k) * phi(j, k) / c;
  Single one(clipped(1e-3), dense(n, 1, false));
  one.write(LNGD_FIELD_PHI, std::vector<float>(phi.values.begin(), phi.values.end()));
  one.write(LNGD_FIELD_PSI, {1.0f});
  REQUIRE_OK(one.step());
  const lngd_health health = one.health();
  CHECK_GE(health.retries, 1);
  CHECK_LE(health.retries, 4); // a pivot of 2 or of 20 stands above the roundings of 1/16
  CHECK_EQ(health.failed_inverses, 0);
  CHECK_GE(health.last_failed_pivot, first);
  CHECK_NEAR(health.lambda_phi_max, 1e-3 * std::pow(10.0, static_cast<double>(health.retries)), 1e-9);
  CHECK(twin::finite(one.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, n, n)));
}

TEST(inverse_failure_keeps_the_old_block_and_renews_the_others) {
  lngd_config config = clipped(1e-3);
  config.block_size = 4;
  Single one(config, dense(11, 2, true));
  const std::vector<float> psi = {0.5f, 0.5f};
  one.write(LNGD_FIELD_PHI, diagonal(12, -1, 0));
  one.write(LNGD_FIELD_PSI, psi);
  one.weight_gradients.fill(1.0);
  REQUIRE_OK(one.step());
  const twin::Matrix before = one.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, 12, 12);

  std::vector<float> broken = diagonal(12, 6, -1e6f); // pivot 2 of block 1, beyond 1e-3 * 10^6
  for (std::size_t i = 0; i < 12; ++i)
    if (i != 6) broken[i * 13] = 3;
  one.write(LNGD_FIELD_PHI, broken);
  REQUIRE_OK(one.step());
  const lngd_health health = one.health();
  CHECK_EQ(health.retries, 6);
  CHECK_EQ(health.failed_inverses, 1);
  CHECK_EQ(health.last_failed_block, 1);
  CHECK_EQ(health.last_failed_pivot, 2);
  CHECK_EQ(health.last_step_skipped, 0);
  const twin::Matrix after = one.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, 12, 12);
  for (std::int64_t i = 0; i < 12; ++i) {
    if (i >= 4 && i < 8)
      CHECK_EQ(after(i, i), before(i, i));
    else
      CHECK_NEAR(after(i, i), 1 / 3.001, 4 * kEps);
  }
  CHECK(twin::finite(one.weights.values()));

  // A healthy factor again: the block recovers, the counters stay.
  one.write(LNGD_FIELD_PHI, diagonal(12, -1, 0));
  REQUIRE_OK(one.step());
  CHECK_EQ(largest_difference(one.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, 12, 12), before), 0.0);
  CHECK_EQ(one.health().failed_inverses, 1);
  CHECK_EQ(one.health().last_failed_block, 1);
}

// Large factors are worked by tiles: the pivot is still counted from the block's first row.
TEST(inverse_failure_names_the_pivot_at_every_size) {
  for (const std::int64_t n : {1, 5, 64, 200, 600})
    for (const std::int64_t bad : {std::int64_t{0}, n / 2, n - 1}) {
      if (n > 200 && !takes(1, 2)) continue; // seconds each
      const Scope scope("n " + std::to_string(n) + " pivot " + std::to_string(bad));
      Single one(clipped(1e-6), dense(n, 1, false));
      one.write(LNGD_FIELD_PHI, diagonal(n, bad, -1e6f));
      one.write(LNGD_FIELD_PSI, {1.0f});
      REQUIRE_OK(one.step());
      CHECK_EQ(one.health().retries, 6);
      CHECK_EQ(one.health().failed_inverses, 1);
      CHECK_EQ(one.health().last_failed_block, 0);
      CHECK_EQ(one.health().last_failed_pivot, bad);
    }
}

TEST(inverse_failure_without_an_old_one_moves_nothing_to_nan) {
  Single one(clipped(1e-6), dense(5, 2, true));
  one.weights.fill(1.0);
  one.weight_gradients.fill(1.0);
  one.write(LNGD_FIELD_PHI, diagonal(6, 3, -1e6f));
  one.write(LNGD_FIELD_PSI, {0.5f, 0.5f});
  REQUIRE_OK(one.step());
  CHECK_EQ(one.health().failed_inverses, 1);
  CHECK_EQ(one.health().last_failed_pivot, 3);
  CHECK_EQ(largest_difference(one.weights.values(),
                              [] {
                                twin::Matrix ones(2, 5);
                                for (double& value : ones.values) value = 1;
                                return ones;
                              }()),
           0.0);
  CHECK_EQ(one.health().last_step_skipped, 1);
  one.write(LNGD_FIELD_PHI, diagonal(6, -1, 0));
  REQUIRE_OK(one.step());
  CHECK_EQ(one.health().last_step_skipped, 0);
}
