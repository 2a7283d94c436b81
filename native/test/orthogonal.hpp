// SPDX-License-Identifier: Apache-2.0
//
// Whitened orthogonalisation beside its twin in double precision, step by step: each step of the twin starts from what
// the library had before it, so that errors do not add up over steps. The twin takes the library's triangles, which
// are compared with its own first: how a rounded triangle moves D is a matter of the factors' condition, not of the
// direction.
#ifndef LNGD_TEST_ORTHOGONAL_HPP
#define LNGD_TEST_ORTHOGONAL_HPP

#include <cmath>
#include <string>

#include "images.hpp"
#include "reference_orthogonal.hpp"
#include "single.hpp"

namespace conformance {

// As in training.cpp: Higham and Mary's bound for a sum of n products, and what surrounds it.
inline double orthogonal_sum_error(std::int64_t n) { return 2 * (std::sqrt(static_cast<double>(n)) + 16) * kEps; }

inline lngd_config orthogonal_config() {
  lngd_config c = bare_config();
  c.approximation = LNGD_APPROXIMATION_KFAC;
  c.fisher = LNGD_FISHER_PROVIDED;
  c.orthogonalise = 1;
  c.trust = LNGD_TRUST_ALWAYS;
  c.trust_ratio = 0.02;
  c.damping = LNGD_DAMPING_RELATIVE;
  c.damping_factor = 0.5;
  c.momentum = 0.9;
  c.nesterov = 1;
  c.inverse_interval = 2;
  return c;
}

struct OrthogonalCase {
  std::string name;
  lngd_config config = orthogonal_config();
  lngd_layer_config layer = dense(13, 7);
  Layout layout = Layout::Compact;
  int update = LNGD_UPDATE_WEIGHTS;
  int steps = 4;
};

// One layer whose factors are written, not observed.
class Orthogonal {
 public:
  explicit Orthogonal(const OrthogonalCase& what)
      : case_(what),
        embedding_(what.layer.kind == LNGD_LAYER_EMBEDDING),
        groups_(what.layer.kind == LNGD_LAYER_CONVOLUTION ? what.layer.groups : 1),
        m_(what.layer.outputs),
        d_w_(twin::weight_columns(what.layer)),
        d_(d_w_ + what.layer.bias),
        optimizer_(what.config, {what.layer}),
        weights_(m_, d_w_, what.layout),
        bias_(m_, what.layout),
        weight_gradients_(m_, d_w_, what.layout),
        bias_gradients_(m_, what.layout),
        random_(11) {
    lngd_binding binding{};
    binding.weights = weights_.view();
    binding.weight_gradients = weight_gradients_.view();
    if (case_.layer.bias) {
      binding.bias = bias_.view();
      binding.bias_gradients = bias_gradients_.view();
    }
    REQUIRE_OK(lngd_plan_create(optimizer_.handle(), &binding, 1, case_.update, &plan_));
    set(weights_, bias_, random_matrix(m_, d_, &random_));
    write(LNGD_FIELD_MOMENTUM, random_matrix(m_, d_, &random_));
  }
  ~Orthogonal() { lngd_plan_destroy(plan_); }
  Orthogonal(const Orthogonal&) = delete;
  Orthogonal& operator=(const Orthogonal&) = delete;

  void run() {
    for (int t = 0; t < case_.steps; ++t) {
      const Scope scope(case_.name + " step " + std::to_string(t));
      if (t % 2 == 0) { // an inversion is due
        write(LNGD_FIELD_PHI, embedding_ ? frequencies() : covariances(d_));
        write(LNGD_FIELD_PSI, covariances(m_ / groups_));
      }
      step(1 - 0.2 * t, random_matrix(m_, d_, &random_));
    }
  }

  // A step with this gradient, compared with the twin's.
  void step(double factor, const twin::Matrix& gradient) {
    set(weight_gradients_, bias_gradients_, gradient);
    twin::OrthogonalStart start;
    start.config = case_.config;
    start.groups = groups_;
    start.orthogonalise = !embedding_;
    start.factor = factor;
    start.gradient = together(weight_gradients_, bias_gradients_);
    start.weights = together(weights_, bias_);
    start.momentum = momentum();
    REQUIRE_OK(lngd_step(plan_, factor, nullptr));
    compare_triangles();
    start.phi_triangle = read_factor(LNGD_FIELD_PHI_INVERSE);
    start.psi_triangle = read_factor(LNGD_FIELD_PSI_INVERSE);
    if (case_.update == LNGD_UPDATE_GRADIENTS) subtract_gradients();
    compare(start, twin::orthogonal_step(start));
  }

  twin::Matrix momentum() const { return optimizer_.read(0, LNGD_FIELD_MOMENTUM, m_, d_); }
  twin::Matrix direction() const { return optimizer_.read(0, LNGD_FIELD_DIRECTION, m_, d_); }
  twin::Matrix weights() const { return together(weights_, bias_); }
  twin::Matrix random_gradient() { return random_matrix(m_, d_, &random_); }
  twin::Matrix covariances(std::int64_t n) {
    twin::Matrix all(groups_ * n, n);
    for (std::int64_t g = 0; g < groups_; ++g) {
      // Of vectors that are not centred, 2 n of them: one eigenvalue stands out.
      const twin::Matrix rows = random_matrix(2 * n, n, &random_);
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j)
          for (std::int64_t k = 0; k < rows.rows; ++k)
            all(g * n + i, j) += (rows(k, i) + 0.5) * (rows(k, j) + 0.5) / static_cast<double>(rows.rows);
    }
    return all;
  }
  // Of indices: some never met.
  twin::Matrix frequencies() {
    twin::Matrix all(d_, 1);
    for (std::int64_t i = 0; i < d_; ++i) all(i, 0) = i % 3 == 2 ? 0 : random_.uniform();
    return all;
  }
  void write(int field, const twin::Matrix& values) {
    std::vector<float> floats(values.values.begin(), values.values.end());
    REQUIRE_OK(
        lngd_layer_write(optimizer_.handle(), 0, field, floats.data(), static_cast<std::int64_t>(floats.size())));
  }
  const Optimizer& optimizer() const { return optimizer_; }
  lngd_health health() const { return optimizer_.health(0); }

 private:
  std::int64_t second_block() const { return case_.config.second_block_size; }
  void set(Tensor& weights, Tensor& bias, const twin::Matrix& values) {
    for (std::int64_t i = 0; i < m_; ++i) {
      for (std::int64_t j = 0; j < d_w_; ++j) weights.set(i, j, values(i, j));
      bias.set(i, 0, values(i, d_ - 1));
    }
  }
  twin::Matrix together(const Tensor& weights, const Tensor& bias) const {
    twin::Matrix all(m_, d_);
    for (std::int64_t i = 0; i < m_; ++i)
      for (std::int64_t j = 0; j < d_; ++j) all(i, j) = j < d_w_ ? weights.get(i, j) : bias.get(i);
    return all;
  }
  // What a framework does with LNGD_UPDATE_GRADIENTS.
  void subtract_gradients() {
    for (std::int64_t i = 0; i < m_; ++i) {
      for (std::int64_t j = 0; j < d_w_; ++j) weights_.set(i, j, weights_.get(i, j) - weight_gradients_.get(i, j));
      bias_.set(i, 0, bias_.get(i) - bias_gradients_.get(i));
    }
  }
  twin::Matrix read_factor(int field) const {
    const bool second = field == LNGD_FIELD_PSI || field == LNGD_FIELD_PSI_INVERSE;
    const std::int64_t n = second ? m_ / groups_ : d_;
    if (second || !embedding_) return optimizer_.read(0, field, groups_ * n, n);
    const twin::Matrix diagonal = optimizer_.read(0, field, n, 1);
    twin::Matrix all(n, n);
    for (std::int64_t i = 0; i < n; ++i) all(i, i) = diagonal(i, 0);
    return all;
  }
  twin::Triangles twin_triangles(bool second) const {
    const lngd_config& c = case_.config;
    const std::int64_t first_block = embedding_ ? d_w_ : c.block_size; // the bias is a block of its own
    return twin::triangles(read_factor(second ? LNGD_FIELD_PSI : LNGD_FIELD_PHI), groups_,
                           second ? c.second_block_size : first_block,
                           c.damping_factor * (second ? c.second_damping : 1), c.damping_floor);
  }

  void compare_triangles() {
    for (const bool second : {false, true}) {
      const twin::Triangles want = twin_triangles(second);
      (second ? psi_lambda_ : phi_lambda_) = want.lambda_min;
      const twin::Matrix ours = read_factor(second ? LNGD_FIELD_PSI_INVERSE : LNGD_FIELD_PHI_INVERSE);
      // A backward error of a sum of n products in A, which its condition brings to the inverse of its factor.
      CHECK_WITHIN(distance(ours, want.values), orthogonal_sum_error(ours.cols) * want.condition * norm(want.values));
      bool zeros = true;
      for (std::int64_t i = 0; i < ours.rows; ++i)
        for (std::int64_t j = i % ours.cols + 1; j < ours.cols; ++j) zeros = zeros && ours(i, j) == 0;
      CHECK(zeros);
      // The trace is summed in double, from floats.
      if (second) {
        CHECK_NEAR(health().lambda_psi, want.lambda_max, kEps * want.lambda_max);
      } else {
        CHECK_NEAR(health().lambda_phi_min, want.lambda_min, kEps * want.lambda_min);
        CHECK_NEAR(health().lambda_phi_max, want.lambda_max, kEps * want.lambda_max);
      }
    }
  }

  // The error of D: that of X relative to its norm, amplified; rounding inside; and two products more. The norms of the
  // triangles are at most lambda^-1/2.
  double direction_error(const twin::OrthogonalStep& step) const {
    const double products = orthogonal_sum_error(d_) + orthogonal_sum_error(m_ / groups_);
    const double triangles = 1 / std::sqrt(phi_lambda_ * psi_lambda_);
    // Of an embedding four products, each with a triangle.
    if (embedding_) return 2 * products * triangles * triangles * norm(step.averaged);
    double square = 0;
    for (const twin::Orthogonalised& group : step.groups) {
      if (group.norm == 0) continue;
      const double of_x = products * triangles * norm(step.averaged) / group.norm;
      const double of_o = group.amplification * of_x + group.rounding * products;
      square += std::pow(of_o + products * norm(group.values), 2);
    }
    return triangles * std::sqrt(square);
  }

  void compare(const twin::OrthogonalStart& start, const twin::OrthogonalStep& want) {
    const lngd_health ours = health();
    CHECK_EQ(ours.last_step_skipped, 0);
    const double error = direction_error(want), length = norm(want.direction);
    CHECK_WITHIN(distance(direction(), want.direction), error);
    CHECK_NEAR(ours.direction_norm, length, error);
    CHECK_NEAR(ours.inner_product, want.inner, (error + 2 * kEps * length) * norm(start.gradient));
    // G + wd W, two products and their sum, each rounded.
    const double sizes = norm(start.momentum) + norm(start.gradient) + norm(start.weights);
    CHECK_WITHIN(distance(momentum(), want.momentum), 3 * kEps * sizes);
    // Of zeta: direction and length both have the error of D.
    const double relative = length > 0 ? 2 * error / length : 0;
    CHECK_WITHIN(distance(weights(), want.weights), relative * want.length + 4 * kEps * norm(start.weights));
    CHECK(weights_.guards_intact() && bias_.guards_intact() && weight_gradients_.guards_intact() &&
          bias_gradients_.guards_intact());
  }

  OrthogonalCase case_;
  bool embedding_;
  std::int64_t groups_, m_, d_w_, d_;
  Optimizer optimizer_;
  Tensor weights_, bias_, weight_gradients_, bias_gradients_;
  Random random_;
  lngd_plan* plan_ = nullptr;
  double phi_lambda_ = 0, psi_lambda_ = 0; // the least in use
};

} // namespace conformance

#endif // LNGD_TEST_ORTHOGONAL_HPP
