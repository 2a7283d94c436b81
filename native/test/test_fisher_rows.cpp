// SPDX-License-Identifier: Apache-2.0
//
// q, r, c of lngd_fisher_rows: every output model, mode and signal against the twin, and the convergence of SAMPLED to
// EXPECTED.
#include <cmath>
#include <string>
#include <vector>

#include "fixture.hpp"
#include "single.hpp"

using namespace conformance;

namespace {

struct Model {
  int output;
  int activation;
};

const Model kModels[] = {{LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_IDENTITY},
                         {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_RELU},
                         {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_LEAKY_RELU},
                         {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_ELU},
                         {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_TANH},
                         {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_SIGMOID},
                         {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_SOFTPLUS},
                         {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_GELU},
                         {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_SWISH},
                         {LNGD_OUTPUT_SQUARED_ERROR, LNGD_ACTIVATION_TANH},
                         {LNGD_OUTPUT_SOFTMAX, LNGD_ACTIVATION_IDENTITY},
                         {LNGD_OUTPUT_SIGMOID, LNGD_ACTIVATION_IDENTITY},
                         {LNGD_OUTPUT_SOFTMAX_GAUSSIAN, LNGD_ACTIVATION_IDENTITY}};

struct Rows {
  std::vector<float> q, r, c;
};

Rows rows_of(const Optimizer& optimizer, int layer, std::int64_t step, const Tensor& inputs, const Tensor& signal,
             int kind) {
  Rows rows;
  const auto n = static_cast<std::size_t>(inputs.rows());
  rows.q.resize(n * static_cast<std::size_t>(signal.cols()));
  rows.r.resize(n);
  rows.c.resize(n);
  REQUIRE_OK(lngd_fisher_rows(optimizer.handle(), layer, step, inputs.pointer(), signal.pointer(), kind, rows.q.data(),
                              rows.r.data(), rows.c.data()));
  return rows;
}

// The signal that belongs to pre-activations s, in float32.
twin::Matrix outputs_of(const lngd_layer_config& layer, const twin::Matrix& s) {
  twin::Matrix y = s;
  for (std::int64_t n = 0; n < s.rows; ++n) {
    std::vector<double> row(s.values.begin() + n * s.cols, s.values.begin() + (n + 1) * s.cols);
    const std::vector<double> p = twin::softmax(row);
    for (std::int64_t i = 0; i < s.cols; ++i) {
      if (layer.output == LNGD_OUTPUT_SOFTMAX || layer.output == LNGD_OUTPUT_SOFTMAX_GAUSSIAN)
        y(n, i) = p[static_cast<std::size_t>(i)];
      else
        y(n, i) = twin::activation(
            layer.output == LNGD_OUTPUT_SIGMOID ? static_cast<int>(LNGD_ACTIVATION_SIGMOID) : layer.activation,
            layer.activation_parameter, s(n, i));
    }
  }
  return rounded(y);
}

void compare_rows(const Model& model, int fisher, bool from_outputs, std::int64_t n, std::int64_t d, std::int64_t m,
                  Layout layout, bool bias) {
  lngd_config config = preset(LNGD_PRESET_PAPER);
  config.fisher = fisher;
  config.seed = 0x123456789abcdef0u;
  // The layer under test is the second, so that the layer index is not 0 in the Philox counter.
  const lngd_layer_config layer = dense(d, m, bias, model.activation, model.output);
  const Optimizer optimizer(config, {dense(2, 2), layer});
  Random random(static_cast<std::uint64_t>(n * 1000 + d * 10 + m));
  const twin::Matrix a = random_matrix(n, d, &random), s = random_matrix(n, m, &random, 2);
  const bool provided = fisher == LNGD_FISHER_PROVIDED;
  const int kind = provided ? LNGD_SIGNAL_GRADIENTS : from_outputs ? LNGD_SIGNAL_OUTPUTS : LNGD_SIGNAL_PRE_ACTIVATIONS;
  const twin::Matrix given = from_outputs ? outputs_of(layer, s) : s;
  Tensor inputs(n, d, layout), signal(n, m, layout);
  inputs.fill(a);
  signal.fill(given);
  const std::int64_t step = 7;
  const Rows rows = rows_of(optimizer, 1, step, inputs, signal, kind);

  const twin::Noise noise{config.seed, 1, step};
  for (std::int64_t k = 0; k < n; ++k) {
    const std::vector<double> row(given.values.begin() + k * m, given.values.begin() + (k + 1) * m);
    const std::vector<double> q = twin::fisher_row(layer, fisher, noise, k, row, kind);
    double r = 0, r_tolerance = 0, c = bias ? 1 : 0;
    for (std::int64_t i = 0; i < m; ++i) {
      // phi' and p are good to a few u absolute (they may come from 1 - t^2 or 1 - p), and q is a product of two of
      // them times the squared noise of the Gaussian models; the noise itself is rounded to float. Softmax: exp(s -
      // max) with |s - max| < 16.
      const bool gaussian =
          fisher == LNGD_FISHER_SAMPLED && model.output != LNGD_OUTPUT_SOFTMAX && model.output != LNGD_OUTPUT_SIGMOID;
      const double eps = gaussian ? noise.gaussian(static_cast<std::uint64_t>(k * m + i)) : 1;
      const auto at = static_cast<std::size_t>(i);
      // SOFTMAX_GAUSSIAN in closed form subtracts numbers of order 1: 4 u absolute.
      const double cancelled = model.output == LNGD_OUTPUT_SOFTMAX_GAUSSIAN && !gaussian ? 4 * kEps : 0;
      const double tolerance =
          provided ? 2 * kEps * q[at]
                   : cancelled + 48 * kEps * q[at] +
                         16 * kEps * (eps * eps + (gaussian ? 1 : 0)) * std::min(1.0, std::sqrt(q[at]) + 4 * kEps);
      CHECK_NEAR(rows.q[static_cast<std::size_t>(k * m + i)], q[at], tolerance);
      r += q[at];
      r_tolerance += tolerance;
    }
    for (std::int64_t j = 0; j < d; ++j) c += a(k, j) * a(k, j);
    CHECK_NEAR(rows.r[static_cast<std::size_t>(k)], r, r_tolerance + 4 * kEps * r); // r, c are summed in double
    CHECK_NEAR(rows.c[static_cast<std::size_t>(k)], c, (4 + std::sqrt(static_cast<double>(d))) * kEps * c);
  }
  CHECK(inputs.guards_intact() && signal.guards_intact());
}

} // namespace

TEST(fisher_rows_every_model_and_mode) {
  for (const Model& model : kModels)
    for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED, LNGD_FISHER_PROVIDED})
      for (const bool outputs : {false, true}) {
        if (outputs && (fisher == LNGD_FISHER_PROVIDED || model.activation == LNGD_ACTIVATION_GELU ||
                        model.activation == LNGD_ACTIVATION_SWISH))
          continue;
        const Scope scope("output " + std::to_string(model.output) + " activation " + std::to_string(model.activation) +
                          " fisher " + std::to_string(fisher) + (outputs ? " from outputs" : ""));
        for (const auto& [n, m] : std::vector<std::pair<int, int>>{{1, 1}, {3, 2}, {5, 7}, {2, 16}, {9, 17}, {4, 33}})
          compare_rows(model, fisher, outputs, n, 3, m, Layout::Compact, true);
      }
}

TEST(fisher_rows_every_layout) {
  for (const Layout layout : kLayouts)
    for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED, LNGD_FISHER_PROVIDED})
      for (const bool bias : {false, true}) {
        const Scope scope(std::string("layout ") + layout_name(layout) + " fisher " + std::to_string(fisher));
        compare_rows({LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_TANH}, fisher, false, 6, 19, 5, layout, bias);
        compare_rows({LNGD_OUTPUT_SOFTMAX, LNGD_ACTIVATION_IDENTITY}, fisher, false, 6, 17, 10, layout, bias);
      }
}

TEST(fisher_rows_outputs_may_be_null) {
  const Optimizer optimizer(preset(LNGD_PRESET_PAPER), {dense(3, 2)});
  Tensor inputs(4, 3), signal(4, 2);
  REQUIRE_OK(lngd_fisher_rows(optimizer.handle(), 0, 0, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS,
                              nullptr, nullptr, nullptr));
  float c[4] = {};
  REQUIRE_OK(lngd_fisher_rows(optimizer.handle(), 0, 0, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS,
                              nullptr, nullptr, c));
  for (const float value : c) CHECK_EQ(value, 1.0f); // zero inputs and the constant 1
}

// The mean of q over many samples of the same row: EXPECTED says what it must be. With T draws the error of a mean is
// sd(q) / sqrt(T); six of those bound all 4 x 11 means at once (probability of a false alarm below 1e-7, and the draws
// are fixed anyhow).
TEST(fisher_sampled_mean_is_expected) {
  const std::int64_t kDraws = takes(1, 2) ? 20000 : 5000, kOutputs = 11;
  for (const Model& model :
       {Model{LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_TANH}, Model{LNGD_OUTPUT_SOFTMAX, LNGD_ACTIVATION_IDENTITY},
        Model{LNGD_OUTPUT_SIGMOID, LNGD_ACTIVATION_IDENTITY},
        Model{LNGD_OUTPUT_SOFTMAX_GAUSSIAN, LNGD_ACTIVATION_IDENTITY}}) {
    const Scope scope("output " + std::to_string(model.output));
    lngd_config config = preset(LNGD_PRESET_PAPER);
    config.seed = 99;
    const lngd_layer_config sampled = dense(1, kOutputs, true, model.activation, model.output);
    lngd_layer_config expected = sampled;
    expected.fisher = LNGD_FISHER_EXPECTED;
    const Optimizer optimizer(config, {sampled, expected});
    Random random(17);
    const twin::Matrix s = random_matrix(1, kOutputs, &random);
    Tensor inputs(kDraws, 1), signal(kDraws, kOutputs);
    for (std::int64_t n = 0; n < kDraws; ++n)
      for (std::int64_t i = 0; i < kOutputs; ++i) signal.set(n, i, s(0, i));
    const Rows draws = rows_of(optimizer, 0, 3, inputs, signal, LNGD_SIGNAL_PRE_ACTIVATIONS);
    const Rows means = rows_of(optimizer, 1, 3, inputs, signal, LNGD_SIGNAL_PRE_ACTIVATIONS);
    for (std::int64_t i = 0; i < kOutputs; ++i) {
      double sum = 0, squares = 0;
      for (std::int64_t n = 0; n < kDraws; ++n) {
        const double q = draws.q[static_cast<std::size_t>(n * kOutputs + i)];
        sum += q;
        squares += q * q;
      }
      const double mean = sum / static_cast<double>(kDraws),
                   deviation = std::sqrt(squares / static_cast<double>(kDraws) - mean * mean);
      CHECK_GT(deviation, 0.0);
      CHECK_NEAR(mean, means.q[static_cast<std::size_t>(i)], 6 * deviation / std::sqrt(static_cast<double>(kDraws)));
    }
  }
}

// Squares are not negative, however sure the model is: sqrt(r) weighs the inputs. The Gaussian softmax cancels twice
// near p = 1, where p^2 (1 - 2 p + sum p_j^2) = p^2 ((1 - p)^2 + sum over the others of p_j^2), and a NaN would keep
// whole batches out late in a run.
TEST(fisher_rows_are_never_negative) {
  constexpr std::int64_t kRows = 4000, kOutputs = 3;
  for (const int output : {int{LNGD_OUTPUT_SOFTMAX}, int{LNGD_OUTPUT_SIGMOID}, int{LNGD_OUTPUT_SOFTMAX_GAUSSIAN}})
    for (const int kind : {int{LNGD_SIGNAL_PRE_ACTIVATIONS}, int{LNGD_SIGNAL_OUTPUTS}}) {
      const Scope scope("output " + std::to_string(output) + " signal kind " + std::to_string(kind));
      lngd_config config = bare_config();
      const lngd_layer_config layer = dense(2, kOutputs, true, LNGD_ACTIVATION_IDENTITY, output);
      const Optimizer optimizer(config, {layer});
      twin::Matrix s(kRows, kOutputs);
      for (std::int64_t n = 0; n < kRows; ++n) s(n, 0) = static_cast<float>(0.005 * static_cast<double>(n));
      Tensor inputs(kRows, 2), signal(kRows, kOutputs);
      signal.fill(kind == LNGD_SIGNAL_OUTPUTS ? outputs_of(layer, s) : s);
      const Rows rows = rows_of(optimizer, 0, 0, inputs, signal, kind);
      long negative = 0;
      for (const float q : rows.q) negative += !(q >= 0);
      for (const float r : rows.r) negative += !(r >= 0);
      CHECK_EQ(negative, 0);
    }
}

// Another seed, layer or step: other numbers.
TEST(fisher_sampled_depends_on_seed_layer_and_step) {
  lngd_config config = preset(LNGD_PRESET_PAPER);
  const std::vector<lngd_layer_config> layers = {dense(2, 8, true, LNGD_ACTIVATION_IDENTITY),
                                                 dense(2, 8, true, LNGD_ACTIVATION_IDENTITY)};
  config.seed = 1;
  const Optimizer one(config, layers);
  config.seed = std::uint64_t{1} << 32; // the upper half counts as well
  const Optimizer two(config, layers);
  Tensor inputs(3, 2), signal(3, 8);
  const Rows base = rows_of(one, 0, 0, inputs, signal, LNGD_SIGNAL_PRE_ACTIVATIONS);
  CHECK(base.q == rows_of(one, 0, 0, inputs, signal, LNGD_SIGNAL_PRE_ACTIVATIONS).q);
  CHECK(base.q != rows_of(one, 1, 0, inputs, signal, LNGD_SIGNAL_PRE_ACTIVATIONS).q);
  CHECK(base.q != rows_of(one, 0, 1, inputs, signal, LNGD_SIGNAL_PRE_ACTIVATIONS).q);
  CHECK(base.q != rows_of(two, 0, 0, inputs, signal, LNGD_SIGNAL_PRE_ACTIVATIONS).q);
}
