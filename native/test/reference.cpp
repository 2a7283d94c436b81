// SPDX-License-Identifier: Apache-2.0
//
// The twin of one layer: matrices, and the step, sections 5 to 7. See reference.hpp.
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
  const std::int64_t rows = m_ / groups_, height = config.second_block_size == 0 ? rows : config.second_block_size;
  for (std::int64_t g = 0; g < groups_; ++g)
    for (std::int64_t begin = 0; begin < rows; begin += height)
      second_blocks_.push_back({g, begin, std::min(height, rows - begin), 0});
  health_.last_failed_block = -1;
  health_.last_failed_pivot = -1;
}

bool Layer::statistics_due() const { return health_.steps % config_.statistics_interval == 0 || !has_statistics(); }

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
  if (config_.trust == LNGD_TRUST_OFF || layer_.trust_off || length == 0) return 1;
  // s = min(1, 2 ||D|| / usual), ln usual = v_t / (1 - 0.95^t), v_t = 0.95 v_{t-1} + 0.05 ln ||D||
  const double usual = std::exp(direction_log_ / (1 - std::pow(0.95, static_cast<double>(moves_ + 1))));
  const double soft = config_.soft_trust ? std::min(1.0, 2 * norm(direction_) / usual) : 1;
  const bool bounded = config_.output_bound && has_initial_norm();
  const double allowed = soft * trust_ratio() * std::max(bounded ? std::min(norm(w_), initial_norm_) : norm(w_), 1e-3);
  if (config_.trust == LNGD_TRUST_ALWAYS) return allowed / length;
  const double longest = config_.learning_rate * layer_.rate_multiplier * length;
  return longest > allowed ? allowed / longest : 1;
}

void Layer::take_due_statistics() {
  if (statistics_due() && !taken_) take_statistics();
  taken_ = true;
}

void Layer::step(double factor, Matrix gradient, const Matrix* inputs, const Matrix* deltas, std::int64_t positions) {
  const std::int64_t step_number = health_.steps;
  take_due_statistics();
  taken_ = false;
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
    for (std::size_t k = 0; k < gradient.values.size(); ++k)
      gradient.values[k] += config_.weight_decay * layer_.decay_multiplier * w_.values[k];

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
  if (moves_ == 0) initial_norm_ = norm(w_);
  direction_log_ = 0.95 * direction_log_ + 0.05 * std::log(norm(direction_));
  health_.trust_scale = trust_scale(health_.alpha);

  // zeta = -alpha alpha_l D ; M <- tau M + zeta ; W <- W + M, or with Nesterov W <- W + tau M + zeta
  const double rate = config_.learning_rate * layer_.rate_multiplier * factor;
  const double scale = -rate * health_.alpha * health_.trust_scale;
  path_ += std::fabs(scale) * norm(direction_);
  double decay = config_.decay == LNGD_DECAY_COUPLED ? 0 : rate * config_.weight_decay * layer_.decay_multiplier;
  if (config_.decay == LNGD_DECAY_TRUST) decay *= trust_ratio();
  if (has_initial_norm() && norm(w_) > initial_norm_) decay *= config_.output_decay;
  for (std::size_t k = 0; k < w_.values.size(); ++k) {
    const double zeta = scale * direction_.values[k];
    double& momentum = momentum_.values[k];
    momentum = config_.momentum * momentum + zeta;
    w_.values[k] *= 1 - decay;
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
