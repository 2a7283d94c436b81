// SPDX-License-Identifier: Apache-2.0
//
// The twin of one layer, sections 2 to 4: statistics, running averages, damping and inverses. See reference.hpp.
#include <algorithm>
#include <cmath>

#include "reference.hpp"

namespace twin {

// Section 2, as sums: Phi = (1/N) sum_n r_n a_n a_n^T, psi_i = sum_n c_n q_ni / sum_n c_n r_n. In a convolution n
// stands for (n, t), N still for samples, and r, c and Phi are those of a group.
void Layer::observe(const Matrix& inputs, const Matrix& signal, int signal_kind, std::int64_t positions) {
  if (!statistics_due()) return;
  const std::int64_t limit = config_.statistics_samples == 0 ? INT64_MAX : config_.statistics_samples;
  const Noise noise{config_.seed, static_cast<std::uint32_t>(index_), health_.steps};
  const std::int64_t columns = inputs.cols / groups_;
  for (std::int64_t row = 0; row < inputs.rows && sum_count_ < limit; ++row) {
    std::vector<double> s(static_cast<std::size_t>(m_));
    for (std::int64_t i = 0; i < m_; ++i) s[static_cast<std::size_t>(i)] = signal(row, i);
    const std::vector<double> q = fisher_row(layer_, layer_.fisher, noise, sum_rows_, s, signal_kind);

    for (std::int64_t g = 0; g < groups_; ++g) {
      std::vector<double> a(static_cast<std::size_t>(d_), 1.0); // the last stays 1 where there is a bias
      for (std::int64_t j = 0; j < columns; ++j) a[static_cast<std::size_t>(j)] = inputs(row, g * columns + j);
      double r = 0;
      for (std::int64_t i = 0; i < m_; ++i)
        if (group_of(i) == g) r += q[static_cast<std::size_t>(i)];
      double c = 0;
      for (const double value : a) c += value * value;

      // KFAC: a a^T and g g^T as they are. TKFAC: r a a^T and c g g^T.
      const bool kfac = config_.approximation == LNGD_APPROXIMATION_KFAC;
      const double a_weight = kfac ? 1 : r, g_weight = kfac ? 1 : c;
      const std::int64_t top = g * (m_ / groups_);
      for (const Block& block : second_blocks_)
        if (block.group == g && second_matrix())
          for (std::int64_t i = block.begin; i < block.begin + block.size; ++i)
            for (std::int64_t j = block.begin; j < block.begin + block.size; ++j)
              second_sum_(top + i, j) +=
                  g_weight * s[static_cast<std::size_t>(top + i)] * s[static_cast<std::size_t>(top + j)];
      input_square_sum_ += c;
      if (second_matrix()) signal_square_sum_ += r;

      for (const Block& block : blocks_)
        if (block.group == g)
          for (std::int64_t i = block.begin; i < block.begin + block.size; ++i)
            for (std::int64_t j = block.begin; j < block.begin + block.size; ++j)
              phi_sum_(g * d_ + i, j) += a_weight * a[static_cast<std::size_t>(i)] * a[static_cast<std::size_t>(j)];
      for (std::int64_t i = 0; i < m_; ++i)
        if (group_of(i) == g) psi_sum_[static_cast<std::size_t>(i)] += c * q[static_cast<std::size_t>(i)];
      weight_sum_[static_cast<std::size_t>(g)] += c * r;
      poisoned_ = poisoned_ || !std::isfinite(c * r);
    }
    ++sum_rows_;
    if (sum_rows_ % positions == 0) ++sum_count_;
  }
}

// Section 3: hat <- rho hat + (1 - rho) new; the first update initialises. A group whose every c_n r_n was 0 keeps what
// it had.
void Layer::take_statistics() {
  if (sum_count_ > 0) {
    const bool nothing = std::all_of(weight_sum_.begin(), weight_sum_.end(), [](double sum) { return sum == 0; });
    if (poisoned_ || nothing) {
      ++health_.skipped_statistics;
    } else {
      const bool first = !has_statistics();
      const double rho = first ? 0 : config_.rho;
      if (first) {
        phi_ = Matrix(groups_ * d_, d_);
        second_ = Matrix(m_, m_ / groups_);
        psi_.assign(static_cast<std::size_t>(m_), 0.0);
      }
      const double samples = static_cast<double>(sum_count_);
      for (std::int64_t i = 0; i < groups_ * d_; ++i)
        for (std::int64_t j = 0; j < d_; ++j)
          if (weight_sum_[static_cast<std::size_t>(i / d_)] > 0)
            phi_(i, j) = rho * phi_(i, j) + (1 - rho) * phi_sum_(i, j) / samples;
      for (std::int64_t i = 0; i < m_; ++i) {
        const double weight = weight_sum_[static_cast<std::size_t>(group_of(i))];
        double& psi = psi_[static_cast<std::size_t>(i)];
        if (weight > 0) psi = rho * psi + (1 - rho) * psi_sum_[static_cast<std::size_t>(i)] / weight;
      }
      // KFAC: B = (1/(N T)) sum g g^T. TKFAC: Psi = sum c g g^T / sum c r.
      for (std::int64_t i = 0; i < m_; ++i)
        for (std::int64_t j = 0; j < second_.cols; ++j) {
          const double weight = weight_sum_[static_cast<std::size_t>(group_of(i))];
          const double count =
              config_.approximation == LNGD_APPROXIMATION_TKFAC ? weight : static_cast<double>(sum_rows_);
          if (weight > 0) second_(i, j) = rho * second_(i, j) + (1 - rho) * second_sum_(i, j) / count;
        }
      // alpha_l = sum ||a||^2 / (N d), beta_l = mean of g^2, over all groups; of an embedding every row is a sample.
      const double columns = static_cast<double>(groups_ * d_), rows = static_cast<double>(sum_rows_ * m_);
      const double counted = layer_.kind == LNGD_LAYER_EMBEDDING ? static_cast<double>(sum_rows_) : samples;
      input_square_ = rho * input_square_ + (1 - rho) * input_square_sum_ / (counted * columns);
      signal_square_ = rho * signal_square_ + (1 - rho) * signal_square_sum_ / rows;
      ++health_.statistics_updates;
      last_rows_ = sum_rows_;
    }
  }
  std::fill(phi_sum_.values.begin(), phi_sum_.values.end(), 0.0);
  std::fill(second_sum_.values.begin(), second_sum_.values.end(), 0.0);
  std::fill(psi_sum_.begin(), psi_sum_.end(), 0.0);
  std::fill(weight_sum_.begin(), weight_sum_.end(), 0.0);
  input_square_sum_ = signal_square_sum_ = 0;
  sum_count_ = 0;
  sum_rows_ = 0;
  poisoned_ = false;
}

// Of the blocks of one group of a factor, or of all (group -1): the mean diagonal element.
double Layer::mean_diagonal(bool second, std::int64_t group) const {
  const Matrix& factor = second ? second_ : phi_;
  const std::int64_t size = second ? m_ / groups_ : d_;
  double trace = 0;
  for (std::int64_t i = 0; i < factor.rows; ++i)
    if (group < 0 || i / size == group) trace += factor(i, i % size);
  return trace / static_cast<double>(group < 0 ? groups_ * size : size);
}

// lambda of a block with that mean diagonal element.
double Layer::damping(double mean, std::int64_t group, bool second) const {
  const double scale = second ? config_.second_damping : 1;
  switch (config_.damping) {
    case LNGD_DAMPING_RELATIVE:
      return std::max(scale * config_.damping_factor * mean, config_.damping_floor);
    case LNGD_DAMPING_ABSOLUTE:
      return std::clamp(mean, config_.damping_min, config_.damping_max);
    case LNGD_DAMPING_SIGNAL: {
      // gamma_l = clip(g sqrt(S0 / (alpha_l beta_l)), least, most)
      const double wanted = config_.damping_factor * std::sqrt(config_.signal_reference / signal());
      const double gamma =
          signal() > 0 ? std::clamp(wanted, config_.damping_min, config_.damping_max) : config_.damping_max;
      return std::max(scale * gamma * mean_diagonal(second, -1), config_.damping_floor);
    }
    default: { // FACTORED: pi = sqrt((tr Phi/d) / (tr B/m)) of the group; pi sqrt(lambda) and sqrt(lambda) / pi
      const double a_mean = mean_diagonal(false, group), b_mean = mean_diagonal(true, group);
      const double pi = a_mean > 0 && b_mean > 0 ? std::sqrt(a_mean / b_mean) : 1;
      return std::max(std::sqrt(config_.damping_factor) * (second ? 1 / pi : pi), config_.damping_floor);
    }
  }
}

// One block of a factor: (A + lambda I)^-1 to where the block lies. `top`: the group's first row.
void Layer::invert(const Matrix& factor, Block& block, std::int64_t size, bool second, Matrix& inverse_of) {
  const std::int64_t row = block.group * size + block.begin;
  double trace = 0;
  for (std::int64_t i = 0; i < block.size; ++i) trace += factor(row + i, block.begin + i);
  const bool whole = config_.damping == LNGD_DAMPING_RELATIVE && config_.damping_scope == LNGD_DAMPING_SCOPE_LAYER;
  const double mean = whole ? mean_diagonal(second, -1) : trace / static_cast<double>(block.size);
  block.lambda = damping(mean, block.group, second);
  Matrix damped(block.size, block.size);
  for (std::int64_t i = 0; i < block.size; ++i)
    for (std::int64_t j = 0; j < block.size; ++j)
      damped(i, j) = factor(row + i, block.begin + j) + (i == j ? block.lambda : 0);
  const Matrix inverted = inverse(damped);
  for (std::int64_t i = 0; i < block.size; ++i)
    for (std::int64_t j = 0; j < block.size; ++j) inverse_of(row + i, block.begin + j) = inverted(i, j);
  block.condition = norm(damped) * norm(inverted);
}

void Layer::renew_second_inverses() {
  second_inverse_ = Matrix(m_, m_ / groups_);
  health_.lambda_psi = 0;
  double condition = 0;
  for (Block& block : second_blocks_) {
    invert(second_, block, m_ / groups_, true, second_inverse_);
    condition = std::max(condition, block.condition);
    health_.lambda_psi = std::max(health_.lambda_psi, block.lambda);
  }
  condition_ += condition;
}

// Section 4. Each block has its own trace and lambda, unless the rule takes the layer's.
void Layer::renew_inverses() {
  phi_inverse_ = Matrix(groups_ * d_, d_);
  condition_ = 1;
  health_.lambda_phi_min = HUGE_VAL;
  health_.lambda_phi_max = 0;
  for (Block& block : blocks_) {
    invert(phi_, block, d_, false, phi_inverse_);
    condition_ = std::max(condition_, block.condition);
    health_.lambda_phi_min = std::min(health_.lambda_phi_min, block.lambda);
    health_.lambda_phi_max = std::max(health_.lambda_phi_max, block.lambda);
  }
  ++health_.inverse_updates;
  if (second_matrix()) return renew_second_inverses();
  if (config_.approximation == LNGD_APPROXIMATION_NGPLUS) { // the identity
    psi_inverse_.assign(psi_.size(), 1.0);
    lambda_psi_ = health_.lambda_psi = 0;
    return;
  }
  double trace = 0;
  for (const double value : psi_) trace += value;
  lambda_psi_ = damping(trace / static_cast<double>(m_), 0, true);
  psi_inverse_.resize(psi_.size());
  for (std::size_t i = 0; i < psi_.size(); ++i) psi_inverse_[i] = 1 / (psi_[i] + lambda_psi_);
  health_.lambda_psi = lambda_psi_;
  phi_at_inverse_ = phi_;
  psi_at_inverse_ = psi_;
}

} // namespace twin
