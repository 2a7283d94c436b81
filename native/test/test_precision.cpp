// SPDX-License-Identifier: Apache-2.0
//
// LNGD_PRECISION_AUTO: when it is TF32, and that the inverses are then as good as it promises. The argument stands in
// native/src/optimizer/config.cpp, statistics_precision.
#include <cmath>
#include <string>
#include <vector>

#include "single.hpp"
#include "spectra.hpp"

using namespace conformance;

namespace {

lngd_config automatic(int which = LNGD_PRESET_RECIPE) {
  lngd_config config = preset(which);
  config.precision = LNGD_PRECISION_AUTO;
  return config;
}

int32_t precision_of(const lngd_config& config, const lngd_layer_config& layer) {
  const Optimizer optimizer(config, {layer});
  int32_t precision = -1;
  REQUIRE_OK(lngd_layer_precision(optimizer.handle(), 0, &precision));
  return precision;
}

// On a device; the CPU computes in float whatever is asked for.
int32_t expected(int32_t on_device) { return device() == LNGD_DEVICE_CPU ? int32_t{LNGD_PRECISION_FP32} : on_device; }

// A's lower triangular Cholesky factor L, and products with it.
twin::Matrix cholesky(const twin::Matrix& a) {
  twin::Matrix l(a.rows, a.rows);
  for (std::int64_t i = 0; i < a.rows; ++i)
    for (std::int64_t j = 0; j <= i; ++j) {
      double sum = a(i, j);
      for (std::int64_t k = 0; k < j; ++k) sum -= l(i, k) * l(j, k);
      l(i, j) = i == j ? std::sqrt(sum) : sum / l(j, j);
    }
  return l;
}

// || L^T (X - A^-1) L || = || L^T X L - I || for A = L L^T, by power iteration: the most that X g differs from A^-1 g
// for any g, relative to it in the norm of A.
double inverse_error(const twin::Matrix& a, const twin::Matrix& x) {
  const twin::Matrix l = cholesky(a);
  const std::int64_t n = a.rows;
  twin::Matrix transposed(n, n);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) transposed(i, j) = l(j, i);
  twin::Matrix e = twin::multiply(twin::multiply(transposed, x), l);
  for (std::int64_t i = 0; i < n; ++i) e(i, i) -= 1;
  Random random(3);
  twin::Matrix v = random_matrix(n, 1, &random);
  double size = 0;
  for (int repeat = 0; repeat < 40; ++repeat) {
    const twin::Matrix w = twin::multiply(e, v);
    size = twin::norm(w) / twin::norm(v);
    if (size == 0) return 0;
    v = w;
    for (double& value : v.values) value /= size;
  }
  return size;
}

// What is left of an inverse when rows that make Phi = half^2 are observed with g = 1, against double. With
// damping_scope LAYER the layer has other blocks, whose inputs are 0: `columns` in all.
double observed_error(const lngd_config& base, const twin::Matrix& half, std::int64_t columns = 0) {
  const std::int64_t n = half.rows;
  lngd_config config = base;
  config.fisher = LNGD_FISHER_PROVIDED;
  config.block_size = static_cast<int32_t>(n);
  if (columns == 0) columns = n;
  config.statistics_samples = 0;
  config.statistics_interval = config.inverse_interval = 1;
  config.rho = 0;
  config.damping_floor = 1e-30;
  Single one(config, dense(columns, 1, false));
  const double scale = std::sqrt(static_cast<double>(n));
  Tensor inputs(n, columns), ones(n, std::int64_t{1}, Layout::Compact);
  twin::Matrix rows(n, columns);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) rows(i, j) = static_cast<double>(static_cast<float>(half(i, j) * scale));
  inputs.fill(rows);
  ones.fill(1.0);
  one.weight_gradients.fill(1.0);
  REQUIRE_OK(one.observe(inputs, ones, LNGD_SIGNAL_GRADIENTS));
  REQUIRE_OK(one.step());
  CHECK_EQ(one.health().retries, 0);
  twin::Matrix a(n, n);
  double trace = 0;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t k = 0; k < n; ++k) a(i, j) += rows(k, i) * rows(k, j) / static_cast<double>(n);
      trace += i == j ? a(i, i) : 0;
    }
  for (std::int64_t i = 0; i < n; ++i) a(i, i) += config.damping_factor * trace / static_cast<double>(columns);
  const twin::Matrix all = one.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, columns, columns);
  twin::Matrix inverse(n, n);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) inverse(i, j) = all(i, j);
  return inverse_error(a, inverse);
}

// The bound of statistics_precision, and lambda itself: it changes by 2^-10 with the trace.
double promised(std::int64_t columns, double gamma) {
  const double ratio = std::sqrt(static_cast<double>(columns) / gamma), u = 0x1p-11;
  const double eta = 2 * u * ratio + u * u * ratio * ratio + 2 * u;
  return eta / (1 - eta);
}

// The worst there is for TF32, half of what the bound says: equal rows whose elements are rounded up and down in turn,
// by half a unit each, so that the error is orthogonal to the rows.
twin::Matrix half_way(std::int64_t n) {
  twin::Matrix rows(n, n);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j)
      rows(i, j) = (j % 2 == 0 ? 1 + 0x1p-11 : 1 + 0x1p-11 - 0x1p-23) / std::sqrt(static_cast<double>(n));
  return rows;
}

// Square roots of the matrices that factor_inverse is tested with, and rows that TF32 does not like.
struct Spectrum {
  const char* name;
  twin::Matrix half;
};
std::vector<Spectrum> spectra(std::int64_t n) {
  const auto root = [](std::vector<double> values) {
    for (double& value : values) value = std::sqrt(value);
    return values;
  };
  const auto seed = static_cast<std::uint64_t>(n);
  std::vector<Spectrum> all;
  for (const double condition : {1.0, 100.0, 1e4, 1e6})
    all.push_back({"geometric", with_spectrum(root(geometric(n, 1 / condition, 1)), seed)});
  for (const std::int64_t rank : {std::int64_t{1}, n / 3 + 1}) {
    std::vector<double> values(static_cast<std::size_t>(n), 0.0);
    for (std::int64_t i = 0; i < rank; ++i) values[static_cast<std::size_t>(i)] = 10;
    all.push_back({"low rank", with_spectrum(root(values), seed)});
  }
  all.push_back({"tridiagonal, squared", tridiagonal(n)});
  twin::Matrix diagonal(n, n), scaled = with_spectrum(root(geometric(n, 0.1, 1)), seed);
  const std::vector<double> values = geometric(n, 1e-4, 1e4), scale = geometric(n, 1e-3, 1e3);
  for (std::int64_t i = 0; i < n; ++i) {
    diagonal(i, i) = values[static_cast<std::size_t>(i)];
    for (std::int64_t j = 0; j < n; ++j) scaled(i, j) *= scale[static_cast<std::size_t>(j)];
  }
  all.push_back({"diagonal", diagonal});
  all.push_back({"badly scaled columns", scaled});
  all.push_back({"half way", half_way(n)});
  return all;
}

} // namespace

TEST(precision_automatic_goes_by_the_damping) {
  lngd_config config;
  REQUIRE_OK(lngd_config_init(LNGD_PRESET_RECIPE, 10, &config));
  CHECK_EQ(config.precision, int{LNGD_PRECISION_AUTO}); // the default
  CHECK_EQ(precision_of(automatic(), dense(300, 2)), expected(LNGD_PRECISION_TF32));
  const auto with_factor = [](double factor, int32_t block) {
    lngd_config c = automatic();
    c.damping_factor = factor;
    c.block_size = block;
    return c;
  };
  CHECK_EQ(precision_of(with_factor(0.125, 128), dense(300, 2)), expected(LNGD_PRECISION_TF32));
  CHECK_EQ(precision_of(with_factor(0.124, 128), dense(300, 2)), expected(LNGD_PRECISION_TF32X3));
  CHECK_EQ(precision_of(with_factor(0.124, 128), dense(99, 2)), expected(LNGD_PRECISION_TF32)); // 100 columns
  CHECK_EQ(precision_of(with_factor(1, 0), dense(1023, 2)), expected(LNGD_PRECISION_TF32));
  CHECK_EQ(precision_of(with_factor(1, 0), dense(1024, 2)), expected(LNGD_PRECISION_TF32X3));         // and the bias
  CHECK_EQ(precision_of(automatic(LNGD_PRESET_PAPER), dense(9, 2)), expected(LNGD_PRECISION_TF32X3)); // ABSOLUTE
  // A lambda for the whole layer may be that of one block alone; groups count as blocks do.
  const auto by_layer = [&](double factor) {
    lngd_config c = with_factor(factor, 16);
    c.damping_scope = LNGD_DAMPING_SCOPE_LAYER;
    return c;
  };
  CHECK_EQ(precision_of(by_layer(0.125), dense(127, 2)), expected(LNGD_PRECISION_TF32)); // 128 columns
  CHECK_EQ(precision_of(by_layer(0.124), dense(127, 2)), expected(LNGD_PRECISION_TF32X3));
  lngd_layer_config grouped;
  const int32_t kernel[] = {2, 2};
  REQUIRE_OK(lngd_conv_init(2, 64, 64, kernel, &grouped));
  grouped.groups = 16; // of 4 x 4 columns and the bias: 272
  CHECK_EQ(precision_of(by_layer(272.0 / 1024), grouped), expected(LNGD_PRECISION_TF32));
  CHECK_EQ(precision_of(by_layer(271.0 / 1024), grouped), expected(LNGD_PRECISION_TF32X3));
  config = with_factor(0.125, 128);
  config.approximation = LNGD_APPROXIMATION_NGPLUS;
  config.fisher = LNGD_FISHER_PROVIDED;
  CHECK_EQ(precision_of(config, dense(300, 2)), expected(LNGD_PRECISION_TF32));
  config.approximation = LNGD_APPROXIMATION_KFAC;
  CHECK_EQ(precision_of(config, dense(9, 2)), expected(LNGD_PRECISION_TF32X3));
  // Asked for, it is itself.
  for (const int32_t asked : {LNGD_PRECISION_TF32X3, LNGD_PRECISION_TF32, LNGD_PRECISION_BF16, LNGD_PRECISION_FP32}) {
    config = automatic();
    config.precision = asked;
    CHECK_EQ(precision_of(config, dense(9, 2)), expected(asked));
  }
  // As the settings are now.
  const Optimizer optimizer(automatic(), {dense(300, 2)});
  int32_t precision = -1;
  REQUIRE_OK(lngd_set(optimizer.handle(), LNGD_SET_DAMPING_FACTOR, 0.01));
  REQUIRE_OK(lngd_layer_precision(optimizer.handle(), 0, &precision));
  CHECK_EQ(precision, expected(LNGD_PRECISION_TF32X3));
}

// The bound, for gamma = 1 and where AUTO is about to change, over the spectra: the largest error of any direction.
TEST(precision_automatic_keeps_its_promise) {
  for (const std::int64_t n : {16, 60, 128})
    for (const double gamma : {1.0, static_cast<double>(n) / 1024}) {
      if (quick() && n == 60) continue;
      for (const Spectrum& spectrum : spectra(n)) {
        const Scope scope("n " + std::to_string(n) + " gamma " + show(gamma) + " " + spectrum.name);
        lngd_config config = automatic();
        config.damping_factor = gamma;
        const double error = observed_error(config, spectrum.half);
        const double condition = 1 + static_cast<double>(n) / gamma, root = std::sqrt(static_cast<double>(n));
        CHECK_WITHIN(error, promised(n, gamma) + (4 + root / 8) * kEps * condition); // and the inverse's own
        if (device() != LNGD_DEVICE_CPU && spectrum.name == std::string("half way"))
          CHECK_GT(error, promised(n, gamma) / 4); // or it was not TF32
      }
    }
}

// One block has all of the trace, and the others most of the columns.
TEST(precision_automatic_keeps_its_promise_by_layer) {
  constexpr std::int64_t n = 16, columns = 128;
  lngd_config config = automatic();
  config.damping_scope = LNGD_DAMPING_SCOPE_LAYER;
  config.damping_factor = static_cast<double>(columns) / 1024;
  const double error = observed_error(config, half_way(n), columns);
  const double condition = 1 + columns / config.damping_factor, root = std::sqrt(static_cast<double>(n));
  CHECK_WITHIN(error, promised(columns, config.damping_factor) + (4 + root / 8) * kEps * condition);
  if (device() != LNGD_DEVICE_CPU) CHECK_GT(error, promised(columns, config.damping_factor) / 4); // or it was not TF32
}

// Without the cover of such a damping TF32 is no good, and AUTO does not take it.
TEST(precision_automatic_avoids_what_is_not_covered) {
  constexpr std::int64_t n = 60;
  const twin::Matrix half = half_way(n);
  lngd_config config = automatic();
  config.damping_factor = 1e-3;
  const double ratio = n / config.damping_factor, root = std::sqrt(static_cast<double>(n));
  // 3xTF32 by the same argument with u = 2^-20, and the inverse's own.
  const double covered = 0x1p-19 * std::sqrt(ratio) + (4 + root / 8) * kEps * ratio;
  CHECK_WITHIN(observed_error(config, half), covered);
  if (device() == LNGD_DEVICE_CPU) return;
  config.precision = LNGD_PRECISION_TF32;
  CHECK_GT(observed_error(config, half), 2 * promised(1024, 1));
}
