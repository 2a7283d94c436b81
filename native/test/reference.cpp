// SPDX-License-Identifier: Apache-2.0
//
// The twin of one layer, sections 2 to 7. See reference.hpp.
#include "reference.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace twin {

double dot(const Matrix& a, const Matrix& b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.values.size(); ++k) sum += a.values[k] * b.values[k];
  return sum;
}

double norm(const Matrix& a) { return std::sqrt(dot(a, a)); }

Matrix multiply(const Matrix& a, const Matrix& b) {
  Matrix c(a.rows, b.cols);
  for (std::int64_t i = 0; i < a.rows; ++i)
    for (std::int64_t k = 0; k < a.cols; ++k)
      for (std::int64_t j = 0; j < b.cols; ++j) c(i, j) += a(i, k) * b(k, j);
  return c;
}

Matrix inverse(const Matrix& a) {
  const std::int64_t n = a.rows;
  Matrix work = a;
  Matrix result(n, n);
  for (std::int64_t i = 0; i < n; ++i) result(i, i) = 1;
  for (std::int64_t column = 0; column < n; ++column) {
    std::int64_t pivot = column;
    for (std::int64_t i = column + 1; i < n; ++i)
      if (std::fabs(work(i, column)) > std::fabs(work(pivot, column))) pivot = i;
    if (work(pivot, column) == 0) throw std::runtime_error("twin::inverse: singular");
    for (std::int64_t j = 0; j < n; ++j) {
      std::swap(work(column, j), work(pivot, j));
      std::swap(result(column, j), result(pivot, j));
    }
    const double scale = 1 / work(column, column);
    for (std::int64_t j = 0; j < n; ++j) {
      work(column, j) *= scale;
      result(column, j) *= scale;
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const double below = work(i, column);
      if (i == column || below == 0) continue;
      for (std::int64_t j = 0; j < n; ++j) {
        work(i, j) -= below * work(column, j);
        result(i, j) -= below * result(column, j);
      }
    }
  }
  return result;
}

bool finite(const Matrix& a) {
  return std::all_of(a.values.begin(), a.values.end(), [](double x) { return std::isfinite(x); });
}

std::int64_t weight_columns(const lngd_layer_config& layer) {
  if (layer.kind != LNGD_LAYER_CONVOLUTION) return layer.inputs;
  return layer.inputs / layer.groups * layer.kernel[0] * layer.kernel[1];
}

Layer::Layer(const lngd_config& config, const lngd_layer_config& layer, int index, int count)
    : config_(config),
      layer_(layer),
      index_(index),
      count_(count),
      m_(layer.outputs),
      groups_(layer.kind == LNGD_LAYER_CONVOLUTION ? layer.groups : 1),
      d_(weight_columns(layer) + (layer.bias ? 1 : 0)),
      phi_sum_(groups_ * d_, d_),
      second_sum_(m_, m_ / groups_),
      psi_sum_(static_cast<std::size_t>(m_), 0.0),
      weight_sum_(static_cast<std::size_t>(groups_), 0.0),
      momentum_(m_, d_),
      health_() {
  if (layer_.fisher < 0) layer_.fisher = config.fisher;
  // Contiguous diagonal blocks of at most b, the last may be shorter; the bias column is the last of the last one.
  // Of an embedding, whatever block_size is: all indices, then the bias alone. (Its observed inputs are one-hot rows.)
  const bool embedding = layer.kind == LNGD_LAYER_EMBEDDING;
  const std::int64_t size = embedding ? layer.inputs : config.block_size == 0 ? d_ : config.block_size;
  for (std::int64_t g = 0; g < groups_; ++g)
    for (std::int64_t begin = 0; begin < d_; begin += size)
      blocks_.push_back({g, begin, std::min(size, d_ - begin), 0});
  health_.last_failed_block = -1;
  health_.last_failed_pivot = -1;
}

bool Layer::statistics_due() const { return health_.steps % config_.statistics_interval == 0 || !has_statistics(); }

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
      for (std::int64_t i = 0; i < m_ && second_matrix(); ++i)
        for (std::int64_t j = 0; j < m_; ++j)
          if (group_of(i) == g && group_of(j) == g)
            second_sum_(i, j - g * (m_ / groups_)) +=
                g_weight * s[static_cast<std::size_t>(i)] * s[static_cast<std::size_t>(j)];

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
      ++health_.statistics_updates;
      last_rows_ = sum_rows_;
    }
  }
  std::fill(phi_sum_.values.begin(), phi_sum_.values.end(), 0.0);
  std::fill(second_sum_.values.begin(), second_sum_.values.end(), 0.0);
  std::fill(psi_sum_.begin(), psi_sum_.end(), 0.0);
  std::fill(weight_sum_.begin(), weight_sum_.end(), 0.0);
  sum_count_ = 0;
  sum_rows_ = 0;
  poisoned_ = false;
}

double Layer::second_trace(std::int64_t group) const {
  double trace = 0;
  for (std::int64_t i = 0; i < m_ / groups_; ++i) trace += second_(group * (m_ / groups_) + i, i);
  return trace;
}

// lambda of a block of that trace. FACTORED: pi = sqrt((tr Phi/d) / (tr B/m)) of the group's whole factors;
// pi sqrt(lambda) for Phi and sqrt(lambda) / pi for the second factor.
double Layer::damping(double trace, std::int64_t size, std::int64_t group, bool second) const {
  const double mean = trace / static_cast<double>(size);
  if (config_.damping == LNGD_DAMPING_RELATIVE) return std::max(config_.damping_factor * mean, config_.damping_floor);
  if (config_.damping == LNGD_DAMPING_ABSOLUTE) return std::clamp(mean, config_.damping_min, config_.damping_max);
  double phi_trace = 0;
  for (std::int64_t j = 0; j < d_; ++j) phi_trace += phi_(group * d_ + j, j);
  const double b_mean = second_trace(group) / static_cast<double>(m_ / groups_);
  const double a_mean = phi_trace / static_cast<double>(d_);
  const double pi = a_mean > 0 && b_mean > 0 ? std::sqrt(a_mean / b_mean) : 1;
  return std::max(std::sqrt(config_.damping_factor) * (second ? 1 / pi : pi), config_.damping_floor);
}

void Layer::renew_second_inverses() {
  const std::int64_t size = m_ / groups_;
  second_inverse_ = Matrix(m_, size);
  health_.lambda_psi = 0;
  double condition = 0;
  for (std::int64_t g = 0; g < groups_; ++g) {
    const double lambda = damping(second_trace(g), size, g, true);
    Matrix damped(size, size);
    for (std::int64_t i = 0; i < size; ++i)
      for (std::int64_t j = 0; j < size; ++j) damped(i, j) = second_(g * size + i, j) + (i == j ? lambda : 0);
    const Matrix inverted = inverse(damped);
    for (std::int64_t i = 0; i < size; ++i)
      for (std::int64_t j = 0; j < size; ++j) second_inverse_(g * size + i, j) = inverted(i, j);
    condition = std::max(condition, norm(damped) * norm(inverted));
    health_.lambda_psi = std::max(health_.lambda_psi, lambda);
  }
  condition_ += condition;
}

// Section 4. Each block has its own trace and lambda.
void Layer::renew_inverses() {
  phi_inverse_ = Matrix(groups_ * d_, d_);
  condition_ = 1;
  health_.lambda_phi_min = HUGE_VAL;
  health_.lambda_phi_max = 0;
  for (Block& block : blocks_) {
    const std::int64_t top = block.group * d_ + block.begin; // its first row
    double trace = 0;
    for (std::int64_t i = 0; i < block.size; ++i) trace += phi_(top + i, block.begin + i);
    block.lambda = damping(trace, block.size, block.group, false);
    Matrix damped(block.size, block.size);
    for (std::int64_t i = 0; i < block.size; ++i)
      for (std::int64_t j = 0; j < block.size; ++j)
        damped(i, j) = phi_(top + i, block.begin + j) + (i == j ? block.lambda : 0);
    const Matrix inverted = inverse(damped);
    for (std::int64_t i = 0; i < block.size; ++i)
      for (std::int64_t j = 0; j < block.size; ++j) phi_inverse_(top + i, block.begin + j) = inverted(i, j);
    condition_ = std::max(condition_, norm(damped) * norm(inverted));
    health_.lambda_phi_min = std::min(health_.lambda_phi_min, block.lambda);
    health_.lambda_phi_max = std::max(health_.lambda_phi_max, block.lambda);
  }
  ++health_.inverse_updates;
  if (second_matrix()) return renew_second_inverses();
  double trace = 0;
  for (const double value : psi_) trace += value;
  lambda_psi_ = damping(trace, m_, 0, false);
  psi_inverse_.resize(psi_.size());
  for (std::size_t i = 0; i < psi_.size(); ++i) psi_inverse_[i] = 1 / (psi_[i] + lambda_psi_);
  health_.lambda_psi = lambda_psi_;
  phi_at_inverse_ = phi_;
  psi_at_inverse_ = psi_;
}

// Section 6: C of alpha_l = <D, G> / (C + mu).
double Layer::curvature(const Matrix& gradient, const Matrix* inputs, const Matrix* deltas, std::int64_t positions) {
  rate_amplification_ = 1;
  if (config_.rate == LNGD_RATE_EMPIRICAL) {
    // C = (1/n) sum over n evenly spaced samples of (sum_t delta_nt^T D a_nt)^2, one t in a dense layer
    const std::int64_t all = inputs->rows / positions, columns = inputs->cols / groups_;
    const std::int64_t used = config_.rate_samples == 0 ? all : std::min<std::int64_t>(all, config_.rate_samples);
    double sum = 0;
    double lengths = 0; // of (||delta_n|| ||D|| ||a_n||)^2, the value without cancellation
    for (std::int64_t k = 0; k < used; ++k) {
      const std::int64_t n = k * all / used;
      double value = 0, length = 0;
      for (std::int64_t row = n * positions; row < (n + 1) * positions; ++row) {
        double a_squares = d_ > columns ? 1 : 0, delta_squares = 0;
        for (std::int64_t j = 0; j < inputs->cols; ++j) a_squares += (*inputs)(row, j) * (*inputs)(row, j);
        for (std::int64_t i = 0; i < m_; ++i) delta_squares += (*deltas)(row, i) * (*deltas)(row, i);
        length += std::sqrt(a_squares * delta_squares * dot(direction_, direction_));
        for (std::int64_t i = 0; i < m_; ++i)
          for (std::int64_t j = 0; j < d_; ++j)
            value +=
                (*deltas)(row, i) * direction_(i, j) * (j < columns ? (*inputs)(row, group_of(i) * columns + j) : 1.0);
      }
      lengths += length * length;
      sum += value * value;
    }
    if (sum > 0) rate_amplification_ = 1 + 2 * std::sqrt(lengths / sum);
    return sum / static_cast<double>(used);
  }
  // C = tr(Psi D Phi D^T) with the averages that the inverses in use were made from, directly and not by the
  // identities.
  double sum = 0;
  for (std::int64_t i = 0; i < m_; ++i)
    for (std::int64_t j = 0; j < d_; ++j)
      for (std::int64_t k = 0; k < d_; ++k)
        sum += psi_at_inverse_[static_cast<std::size_t>(i)] * direction_(i, j) *
               phi_at_inverse_(group_of(i) * d_ + j, k) * direction_(i, k);
  // The identities start from <D, G> and subtract: an error of eps <D, G> in C is an error of eps alpha_l in alpha_l.
  rate_amplification_ = 1 + dot(direction_, gradient) / (sum + config_.mu);
  return sum;
}

double Layer::trust_ratio() const {
  // slope^(2 i/(L-1) - 1); a single layer stands in the middle.
  const double depth = count_ > 1 ? 2.0 * index_ / (count_ - 1) - 1 : 0;
  return config_.trust_ratio * std::pow(config_.trust_depth_slope, depth);
}

// Section 7, trust ratio: the factor on alpha_l D.
double Layer::trust_scale(double alpha) {
  const double length = std::fabs(alpha) * norm(direction_);
  if (config_.trust == LNGD_TRUST_OFF || length == 0) return 1;
  const double allowed = trust_ratio() * std::max(norm(w_), 1e-3);
  if (config_.trust == LNGD_TRUST_ALWAYS) return allowed / length;
  return config_.learning_rate * length > allowed ? allowed / (config_.learning_rate * length) : 1;
}

void Layer::step(double factor, Matrix gradient, const Matrix* inputs, const Matrix* deltas, std::int64_t positions) {
  const std::int64_t step_number = health_.steps;
  const bool statistics = statistics_due();
  if (statistics) take_statistics();
  if (has_statistics() && (step_number % config_.inverse_interval == 0 || !has_inverse())) renew_inverses();
  ++health_.steps;
  health_.last_step_skipped = 0;
  health_.weight_norm = norm(w_);
  if (!has_inverse() || !finite(gradient)) {
    ++health_.skipped_steps;
    health_.last_step_skipped = 1;
    return;
  }

  // Coupled decay: G <- G + wd W before preconditioning.
  if (config_.decay == LNGD_DECAY_COUPLED)
    for (std::size_t k = 0; k < gradient.values.size(); ++k) gradient.values[k] += config_.weight_decay * w_.values[k];

  // Section 5: D = Psi^-1 G Phi^-1, the rows of a group with its own Phi
  direction_ = Matrix(m_, d_);
  for (std::int64_t i = 0; i < m_; ++i)
    for (std::int64_t j = 0; j < d_; ++j) {
      for (std::int64_t k = 0; k < d_; ++k) direction_(i, j) += gradient(i, k) * phi_inverse_(group_of(i) * d_ + k, j);
      if (!second_matrix()) direction_(i, j) *= psi_inverse_[static_cast<std::size_t>(i)];
    }
  if (second_matrix()) { // D = B^-1 X, each group with its own B
    const Matrix x = direction_;
    for (std::int64_t i = 0; i < m_; ++i)
      for (std::int64_t j = 0; j < d_; ++j) {
        direction_(i, j) = 0;
        for (std::int64_t k = 0; k < m_ / groups_; ++k)
          direction_(i, j) += second_inverse_(i, k) * x(group_of(i) * (m_ / groups_) + k, j);
      }
  }

  health_.inner_product = dot(direction_, gradient);
  health_.direction_norm = norm(direction_);
  health_.curvature = 0;
  health_.alpha = 1;
  if (config_.rate != LNGD_RATE_NONE) {
    health_.curvature = curvature(gradient, inputs, deltas, positions);
    health_.alpha = health_.inner_product / (health_.curvature + config_.mu);
  }
  health_.trust_scale = trust_scale(health_.alpha);

  // zeta = -alpha alpha_l D ; M <- tau M + zeta ; W <- W + M, or with Nesterov W <- W + tau M + zeta
  const double rate = config_.learning_rate * factor;
  const double scale = -rate * health_.alpha * health_.trust_scale;
  path_ += std::fabs(scale) * norm(direction_);
  for (std::size_t k = 0; k < w_.values.size(); ++k) {
    const double zeta = scale * direction_.values[k];
    double& momentum = momentum_.values[k];
    momentum = config_.momentum * momentum + zeta;
    if (config_.decay == LNGD_DECAY_DECOUPLED) w_.values[k] *= 1 - rate * config_.weight_decay;
    w_.values[k] += config_.nesterov ? config_.momentum * momentum + zeta : momentum;
  }

  // avg <- avg + c/(c+t) (W - avg) after step t = 0, 1, ...; t counts the steps that moved, so that the first of them
  // initialises.
  if (config_.averaging) {
    if (average_.values.empty()) average_ = w_;
    const double weight = config_.averaging_window / (config_.averaging_window + static_cast<double>(moves_));
    for (std::size_t k = 0; k < w_.values.size(); ++k)
      average_.values[k] += weight * (w_.values[k] - average_.values[k]);
  }
  ++moves_;
}

} // namespace twin
