// SPDX-License-Identifier: Apache-2.0
//
// A run beside the twin: what is compared after each step, and how exact it has to be.
#include <algorithm>
#include <cmath>

#include "training.hpp"

namespace conformance {

// Relative error allowed in sums of n products in float32: the probabilistic bound sqrt(n) u of Higham and Mary (SIAM
// J. Sci. Comput. 41, 2019) instead of the worst case n u, plus 16 u for what surrounds a sum (activation, squares,
// running average).
double sum_error(std::int64_t n) { return 2 * (std::sqrt(static_cast<double>(n)) + 16) * kEps; }

// Relative error allowed in the inverse, and so in D: errors of Phi and of the factorisation grow by its condition
// number.
double direction_error(const twin::Layer& layer) {
  const std::int64_t widest = layer.second_matrix() ? std::max(layer.columns(), layer.rows()) : layer.columns();
  return (sum_error(layer.rows_used()) + sum_error(widest)) * layer.condition();
}

twin::Matrix Training::factor(int l, int field) const {
  const std::int64_t d = reference(l).columns(), all = reference(l).groups() * d;
  if (case_.layers[static_cast<std::size_t>(l)].kind != LNGD_LAYER_EMBEDDING) return optimizer_->read(l, field, all, d);
  const twin::Matrix diagonal = optimizer_->read(l, field, d, 1);
  twin::Matrix full(d, d);
  for (std::int64_t i = 0; i < d; ++i) full(i, i) = diagonal(i, 0);
  return full;
}

void Training::compare_layer(int l) const {
  const twin::Layer& twin = reference(l);
  const lngd_health ours = optimizer_->health(l), want = twin.health();
  CHECK_EQ(ours.steps, want.steps);
  CHECK_EQ(ours.statistics_updates, want.statistics_updates);
  CHECK_EQ(ours.inverse_updates, want.inverse_updates);
  CHECK_EQ(ours.skipped_statistics, want.skipped_statistics);
  CHECK_EQ(ours.skipped_steps, want.skipped_steps);
  CHECK_EQ(ours.last_step_skipped, want.last_step_skipped);
  CHECK_EQ(ours.retries, 0);
  CHECK_EQ(ours.failed_inverses, 0);
  CHECK_EQ(ours.last_failed_block, -1);
  CHECK_EQ(ours.last_failed_pivot, -1);

  const std::int64_t m = twin.rows(), d = twin.columns(), all = twin.groups() * d;
  // Of SIGNAL, gamma_l has half the errors of alpha_l, beta_l and S0 on top.
  const double statistics = (case_.config.damping == LNGD_DAMPING_SIGNAL ? 3 : 1) * sum_error(twin.rows_used());
  CHECK_NEAR(ours.lambda_phi_min, want.lambda_phi_min, statistics * want.lambda_phi_min);
  CHECK_NEAR(ours.lambda_phi_max, want.lambda_phi_max, statistics * want.lambda_phi_max);
  CHECK_NEAR(ours.lambda_psi, want.lambda_psi, statistics * want.lambda_psi);

  const double relative = direction_error(twin), rate = relative * twin.rate_amplification();
  const double weight_error = weight_error_[static_cast<std::size_t>(l)];
  CHECK_NEAR(ours.inner_product, want.inner_product, relative * std::fabs(want.inner_product));
  CHECK_NEAR(ours.direction_norm, want.direction_norm, relative * want.direction_norm);
  CHECK_NEAR(ours.curvature, want.curvature, rate * want.curvature);
  CHECK_NEAR(ours.alpha, want.alpha, (relative + rate) * want.alpha);
  CHECK_NEAR(ours.weight_norm, want.weight_norm, weight_error + 2 * kEps * want.weight_norm);
  CHECK_NEAR(ours.trust_scale, want.trust_scale,
             ((case_.config.soft_trust ? 4 : 2) * rate + weight_error / std::max(want.weight_norm, 1e-3) + 4 * kEps) *
                 want.trust_scale);

  // |sum r a_i a_j| is bounded through Cauchy-Schwarz by the diagonal.
  const twin::Matrix phi = factor(l, LNGD_FIELD_PHI);
  double phi_error = 0;
  for (std::int64_t i = 0; i < all; ++i)
    for (std::int64_t j = 0; j < d; ++j) {
      const std::int64_t top = i / d * d; // of the group
      const double scale = std::sqrt(twin.phi()(i, i % d) * twin.phi()(top + j, j));
      const double error = std::fabs(phi(i, j) - twin.phi()(i, j));
      phi_error = std::max(phi_error, scale > 0 ? error / scale : error > 0 ? HUGE_VAL : 0);
      if (phi(i, j) != phi(top + j, i % d)) fail(__FILE__, __LINE__, "Phi is not symmetric");
    }
  CHECK_WITHIN(phi_error, statistics);
  if (twin.second_matrix())
    compare_second(l);
  else
    compare_psi(l);
  const twin::Matrix phi_inverse = factor(l, LNGD_FIELD_PHI_INVERSE);
  CHECK_WITHIN(distance(phi_inverse, twin.phi_inverse()), relative * norm(twin.phi_inverse()));
  CHECK_WITHIN(distance(optimizer_->read(l, LNGD_FIELD_DIRECTION, m, d), twin.direction()),
               relative * norm(twin.direction()));
  CHECK_WITHIN(distance(weights(l), twin.weights()), weight_error);
  CHECK_WITHIN(distance(optimizer_->read(l, LNGD_FIELD_MOMENTUM, m, d), twin.momentum()),
               momentum_error_[static_cast<std::size_t>(l)]);
  if (case_.config.averaging)
    CHECK_WITHIN(distance(optimizer_->read(l, LNGD_FIELD_AVERAGE, m, d), twin.average()), weight_error);

  const Tensors& tensors = tensors_[static_cast<std::size_t>(l)];
  CHECK(tensors.weights->guards_intact() && tensors.bias->guards_intact() &&
        tensors.weight_gradients->guards_intact() && tensors.bias_gradients->guards_intact());
}

void Training::compare_psi(int l) const {
  const twin::Layer& twin = reference(l);
  const double statistics = sum_error(twin.rows_used());
  const twin::Matrix psi = optimizer_->read(l, LNGD_FIELD_PSI, twin.rows(), 1);
  const twin::Matrix psi_inverse = optimizer_->read(l, LNGD_FIELD_PSI_INVERSE, twin.rows(), 1);
  for (std::int64_t i = 0; i < twin.rows(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    CHECK_NEAR(psi(i, 0), twin.psi()[k], statistics * twin.psi()[k]);
    CHECK_NEAR(psi_inverse(i, 0), twin.psi_inverse()[k], statistics * twin.psi_inverse()[k]);
  }
}

// As Phi: |sum g_i g_j| is bounded by the diagonal.
void Training::compare_second(int l) const {
  const twin::Layer& twin = reference(l);
  const std::int64_t m = twin.rows(), size = m / twin.groups();
  const twin::Matrix second = optimizer_->read(l, LNGD_FIELD_PSI, m, size);
  double error = 0;
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < size; ++j) {
      const double scale = std::sqrt(twin.second()(i, i % size) * twin.second()(i / size * size + j, j));
      const double off = std::fabs(second(i, j) - twin.second()(i, j)); // 0 outside the blocks
      error = std::max(error, off == 0 ? 0 : off / scale);
    }
  CHECK_WITHIN(error, sum_error(twin.rows_used()));
  CHECK_WITHIN(distance(optimizer_->read(l, LNGD_FIELD_PSI_INVERSE, m, size), twin.second_inverse()),
               direction_error(twin) * norm(twin.second_inverse()));
}

void Training::compare() const {
  for (int l = 0; l < count(); ++l) {
    const Scope scope("layer " + std::to_string(l) + " after step " + std::to_string(step_ - 1));
    compare_layer(l);
  }
  double reference;
  REQUIRE_OK(lngd_get(optimizer_->handle(), LNGD_SET_SIGNAL_REFERENCE, &reference));
  const double widest = sum_error(std::max_element(twins_.begin(), twins_.end(), [](const auto& a, const auto& b) {
                                    return a.rows_used() < b.rows_used();
                                  })->rows_used());
  CHECK_NEAR(reference, case_.config.signal_reference, 2 * widest * case_.config.signal_reference);
}

} // namespace conformance
