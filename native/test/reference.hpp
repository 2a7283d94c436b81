// SPDX-License-Identifier: Apache-2.0
//
// The double-precision twin of one LNGD layer: written for clarity, formula beside the code, no blocking, no vectors,
// no reuse. Every kernel of every backend is compared with it. It shares the ABI's configuration structs and nothing
// else.
//
// Notation as in lngd.h. Section numbers are those of the algorithm's specification: 1 Fisher rows, 2 block
// approximation, 3 running averages, 4 damping and inversion, 5 direction, 6 layer rate, 7 update.
#ifndef LNGD_TEST_REFERENCE_HPP
#define LNGD_TEST_REFERENCE_HPP

#include <array>
#include <cstdint>
#include <vector>

#include "lngd/lngd.h"

namespace twin {

// Row-major rows x cols.
struct Matrix {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<double> values;

  Matrix() = default;
  Matrix(std::int64_t r, std::int64_t c) : rows(r), cols(c), values(static_cast<std::size_t>(r * c), 0.0) {}
  double& operator()(std::int64_t i, std::int64_t j) { return values[static_cast<std::size_t>(i * cols + j)]; }
  double operator()(std::int64_t i, std::int64_t j) const { return values[static_cast<std::size_t>(i * cols + j)]; }
};

double dot(const Matrix& a, const Matrix& b); // <A, B> = sum_ij A_ij B_ij
double norm(const Matrix& a);                 // Frobenius
Matrix multiply(const Matrix& a, const Matrix& b);
Matrix inverse(const Matrix& a); // Gauss-Jordan with partial pivoting
bool finite(const Matrix& a);

// ------------------------------------------------------------------ random numbers (reference_random.cpp)

// Philox4x32-10, Salmon et al., SC 2011.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

// The noise of element e of a layer's batch at one step of the layer; e = n m + i, n counted over the whole update.
struct Noise {
  std::uint64_t seed = 0;
  std::uint32_t layer = 0;
  std::int64_t step = 0;

  double gaussian(std::uint64_t e) const; // N(0, 1), Box-Muller on the pair of lanes that holds e
  double uniform(std::uint64_t e) const;  // (u + 1/2) 2^-32, in (0, 1)

 private:
  std::array<std::uint32_t, 4> block(std::uint64_t e) const;
};

// ------------------------------------------------------------------ layer model (reference_model.cpp)

double activation(int kind, double parameter, double s);
double activation_derivative(int kind, double parameter, double s);
// phi'(s) written with y = phi(s); not for GELU and SWISH, which are not monotone.
double activation_derivative_of_output(int kind, double parameter, double y);
std::vector<double> softmax(const std::vector<double>& s);

// q_ni for one sample: row `n` of the update, signal of one of the kinds of lngd_signal. `fisher` is resolved (not -1).
std::vector<double> fisher_row(const lngd_layer_config& layer, int fisher, const Noise& noise, std::int64_t n,
                               const std::vector<double>& signal, int signal_kind);

// ------------------------------------------------------------------ one layer (reference.cpp, reference_factors.cpp)

// Columns of the weights: d_w.
std::int64_t weight_columns(const lngd_layer_config& layer);

class Layer {
 public:
  // `index` of `count` layers, which decides the Philox counter and the depth slope.
  Layer(const lngd_config& config, const lngd_layer_config& layer, int index, int count);

  std::int64_t columns() const { return d_; } // of a group
  std::int64_t rows() const { return m_; }
  std::int64_t groups() const { return groups_; }

  void set_weights(const Matrix& w) { w_ = w; }
  // As lngd_layer_write does.
  void set_momentum(const Matrix& momentum) { momentum_ = momentum; }
  void set_averages(const Matrix& phi, const std::vector<double>& psi) {
    phi_ = phi;
    psi_ = psi;
  }
  void set_config(const lngd_config& config) { config_ = config; } // after lngd_set

  bool statistics_due() const;
  // inputs: N x d_w, signal: N x m. Of a convolution: rows are (sample, position), N positions in all; the patches of
  // group g are columns g d_w to (g + 1) d_w.
  void observe(const Matrix& inputs, const Matrix& signal, int signal_kind, std::int64_t positions = 1);
  // The running averages of the coming step, which takes them itself otherwise: S0 is of all layers.
  void take_due_statistics();
  double signal() const { return input_square_ * signal_square_; } // alpha_l beta_l; 0 before the first average
  void set_signal_reference(double s0) { config_.signal_reference = s0; }
  // gradient: m x d of the mean loss; inputs and deltas: those of the EMPIRICAL rate or nullptr.
  void step(double factor, Matrix gradient, const Matrix* inputs, const Matrix* deltas, std::int64_t positions = 1);

  const Matrix& weights() const { return w_; }
  const Matrix& momentum() const { return momentum_; }
  const Matrix& average() const { return average_; }
  const Matrix& direction() const { return direction_; }
  const Matrix& phi() const { return phi_; } // groups one below the other: groups d x d
  const Matrix& phi_inverse() const { return phi_inverse_; }
  // Where the second factor is a matrix: groups one below the other, m x m/groups.
  bool second_matrix() const {
    return config_.approximation != LNGD_APPROXIMATION_LNGD && config_.approximation != LNGD_APPROXIMATION_NGPLUS;
  }
  const Matrix& second() const { return second_; }
  const Matrix& second_inverse() const { return second_inverse_; }
  const std::vector<double>& psi() const { return psi_; }
  const std::vector<double>& psi_inverse() const { return psi_inverse_; }
  const lngd_health& health() const { return health_; }

  // Figures from which tests derive tolerances.
  // Largest ||A||_F ||A^-1||_F over the damped blocks, >= cond_2; plus that of the second factors, if they are
  // matrices.
  double condition() const { return condition_; }
  double path() const { return path_; } // sum over steps of ||zeta||: how far the weights may have come
  double rate_amplification() const { return rate_amplification_; } // error growth in alpha_l by cancellation in C
  std::int64_t rows_used() const { return last_rows_; } // of the last statistics: terms in each of their sums

 private:
  struct Block {
    std::int64_t group = 0;
    std::int64_t begin = 0;
    std::int64_t size = 0;
    double lambda = 0;
    double condition = 1; // ||A||_F ||A^-1||_F, damped
  };

  bool has_statistics() const { return !phi_.values.empty(); }
  bool has_inverse() const { return !phi_inverse_.values.empty(); }
  void take_statistics();
  void renew_inverses();
  void renew_second_inverses();
  void invert(const Matrix& factor, Block& block, std::int64_t size, bool second, Matrix& inverse_of);
  double damping(double mean, std::int64_t group, bool second) const;
  double mean_diagonal(bool second, std::int64_t group) const;
  // Of an output layer that has others before it, and weights that say something about the norm they should have.
  bool has_initial_norm() const { return layer_.output != LNGD_OUTPUT_HIDDEN && count_ > 1 && initial_norm_ > 1e-3; }
  double curvature(const Matrix& gradient, const Matrix* inputs, const Matrix* deltas, std::int64_t positions);
  std::int64_t group_of(std::int64_t i) const { return i / (m_ / groups_); } // of output i
  double trust_scale(double alpha);
  double trust_ratio() const;

  lngd_config config_;
  lngd_layer_config layer_;
  int index_;
  int count_;
  std::int64_t m_;
  std::int64_t groups_;
  std::int64_t d_;
  std::vector<Block> blocks_, second_blocks_;

  // Sums of the coming update.
  Matrix phi_sum_;
  Matrix second_sum_;
  std::vector<double> psi_sum_;
  std::vector<double> weight_sum_; // for each group: sum_n c_n r_n
  std::int64_t sum_count_ = 0;     // samples
  std::int64_t sum_rows_ = 0;
  double input_square_sum_ = 0, signal_square_sum_ = 0;
  bool poisoned_ = false;
  bool taken_ = false; // the statistics of the coming step
  std::int64_t last_rows_ = 0;

  Matrix phi_;
  Matrix second_, second_inverse_;
  std::vector<double> psi_;
  Matrix phi_inverse_;
  std::vector<double> psi_inverse_;
  Matrix phi_at_inverse_; // the averages that the inverses in use were made from
  std::vector<double> psi_at_inverse_;
  double lambda_psi_ = 0;
  double input_square_ = 0, signal_square_ = 0; // alpha_l, beta_l

  Matrix w_;
  Matrix momentum_;
  Matrix average_;
  Matrix direction_;
  std::int64_t moves_ = 0; // steps that were not skipped
  double initial_norm_ = 0, direction_log_ = 0;
  lngd_health health_;
  double condition_ = 1;
  double path_ = 0;
  double rate_amplification_ = 1;
};

} // namespace twin

#endif // LNGD_TEST_REFERENCE_HPP
