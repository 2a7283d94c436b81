// SPDX-License-Identifier: Apache-2.0
//
// EKFAC beside an explicit twin in double precision. Eigenvectors are unique only up to their signs, and barely that
// where eigenvalues are close, so the twin takes the library's and checks that they are a basis of A and of B; S and D
// are then its own.
#include <cmath>
#include <string>

#include "images.hpp"
#include "single.hpp"

using namespace conformance;

namespace {

struct Rows {
  twin::Matrix images, inputs, signal; // images of a convolution; rows (sample, position)
};

struct EkfacCase {
  std::string name;
  lngd_layer_config layer;
  int block = 0;
  int threads = 1;
  int damping = LNGD_DAMPING_FACTORED;
  std::int64_t samples = 40;
  std::int64_t height = 6, width = 5;
  ImageLayout layout = ImageLayout::Nchw;
};

class Ekfac {
 public:
  explicit Ekfac(const EkfacCase& what)
      : case_(what),
        layer_(what.layer),
        convolution_(layer_.kind == LNGD_LAYER_CONVOLUTION),
        groups_(convolution_ ? layer_.groups : 1),
        m_(layer_.outputs),
        d_w_(twin::weight_columns(layer_)),
        d_(d_w_ + layer_.bias),
        size_(geometry(layer_, what.height, what.width)),
        optimizer_(config(), {layer_}),
        weights_(m_, d_w_),
        bias_(m_),
        weight_gradients_(m_, d_w_),
        bias_gradients_(m_),
        random_(5) {
    lngd_binding binding{};
    binding.weights = weights_.view();
    binding.weight_gradients = weight_gradients_.view();
    binding.bias = bias_.view();
    binding.bias_gradients = bias_gradients_.view();
    REQUIRE_OK(lngd_plan_create(optimizer_.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &plan_));
  }
  ~Ekfac() { lngd_plan_destroy(plan_); }
  Ekfac(const Ekfac&) = delete;
  Ekfac& operator=(const Ekfac&) = delete;

  lngd_config config() const {
    lngd_config c = bare_config();
    c.device = LNGD_DEVICE_CPU;
    c.approximation = LNGD_APPROXIMATION_EKFAC;
    c.fisher = LNGD_FISHER_PROVIDED;
    c.damping = case_.damping;
    c.damping_factor = 0.3;
    c.damping_min = 0.1;
    c.damping_max = 0.5;
    c.block_size = case_.block;
    c.threads = case_.threads;
    c.rho = 0.75;
    c.inverse_interval = 3;
    return c;
  }

  void run() {
    for (int t = 0; t < 5; ++t) {
      const Scope scope(case_.name + " step " + std::to_string(t));
      const Rows rows = batch();
      observe(rows, t == 2 ? 3 : 1);
      const twin::Matrix gradient = rounded(random_matrix(m_, d_, &random_));
      weight_gradients_.fill(gradient);
      for (std::int64_t i = 0; i < m_ && layer_.bias; ++i) bias_gradients_.set(i, 0, gradient(i, d_ - 1));
      if (t > 0) measure(rows);
      average(rows, t > 0 ? 0.75 : 0.0);
      REQUIRE_OK(lngd_step(plan_, 1, nullptr));
      if (t % 3 == 0) restart();
      compare(gradient);
    }
  }
  std::vector<float> direction() const { return optimizer_.read(0, LNGD_FIELD_DIRECTION); }

 private:
  Rows batch() {
    Rows rows;
    const std::int64_t all = convolution_ ? layer_.inputs * size_.height * size_.width : d_w_;
    rows.inputs = rounded(random_matrix(case_.samples, all, &random_));
    if (convolution_) {
      rows.images = rows.inputs;
      rows.inputs = patches(layer_, size_, rows.images);
    }
    rows.signal = rounded(random_matrix(case_.samples * positions(), m_, &random_));
    return rows;
  }
  std::int64_t positions() const { return convolution_ ? size_.positions() : 1; }

  void observe(const Rows& rows, int parts) {
    for (int part = 0; part < parts; ++part) {
      const std::int64_t begin = case_.samples * part / parts, end = case_.samples * (part + 1) / parts;
      if (convolution_) {
        ImageTensor inputs(end - begin, layer_.inputs, size_.height, size_.width, case_.layout, layer_.rank);
        ImageTensor signal(end - begin, m_, size_.out_height, size_.out_width, case_.layout, layer_.rank);
        inputs.fill(rows.images, begin);
        signal.fill_rows(rows.signal, begin);
        REQUIRE_OK(lngd_observe(optimizer_.handle(), 0, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_GRADIENTS));
      } else {
        Tensor inputs(end - begin, d_w_, Layout::Spread), signal(end - begin, m_, Layout::Transposed);
        for (std::int64_t n = begin; n < end; ++n) {
          for (std::int64_t j = 0; j < d_w_; ++j) inputs.set(n - begin, j, rows.inputs(n, j));
          for (std::int64_t i = 0; i < m_; ++i) signal.set(n - begin, i, rows.signal(n, i));
        }
        REQUIRE_OK(lngd_observe(optimizer_.handle(), 0, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_GRADIENTS));
      }
    }
  }

  std::int64_t group_rows() const { return m_ / groups_; }
  std::int64_t group_of(std::int64_t i) const { return i / group_rows(); }
  double input(const Rows& rows, std::int64_t row, std::int64_t g, std::int64_t j) const {
    return j < d_w_ ? rows.inputs(row, g * d_w_ + j) : 1.0;
  }
  bool same_block(std::int64_t i, std::int64_t j) const {
    return case_.block == 0 || i / case_.block == j / case_.block;
  }

  // A = (1/N) sum a a^T, B = (1/(N T)) sum g g^T, and their running averages.
  void average(const Rows& rows, double keep) {
    const double samples = static_cast<double>(case_.samples), all = static_cast<double>(rows.signal.rows);
    if (keep == 0) a_ = twin::Matrix(groups_ * d_, d_), b_ = twin::Matrix(m_, group_rows());
    for (double& value : a_.values) value *= keep;
    for (double& value : b_.values) value *= keep;
    for (std::int64_t row = 0; row < rows.signal.rows; ++row) {
      for (std::int64_t i = 0; i < groups_ * d_; ++i)
        for (std::int64_t j = 0; j < d_; ++j)
          if (same_block(i % d_, j))
            a_(i, j) += (1 - keep) / samples * input(rows, row, i / d_, i % d_) * input(rows, row, i / d_, j);
      for (std::int64_t i = 0; i < m_; ++i)
        for (std::int64_t j = 0; j < group_rows(); ++j)
          b_(i, j) += (1 - keep) / all * rows.signal(row, i) * rows.signal(row, group_of(i) * group_rows() + j);
    }
  }

  // V_B x V_A^T, and V_B^T x V_A back.
  twin::Matrix rotate(const twin::Matrix& x, bool back) const {
    twin::Matrix half(m_, d_), out(m_, d_);
    for (std::int64_t i = 0; i < m_; ++i)
      for (std::int64_t j = 0; j < d_; ++j)
        for (std::int64_t k = 0; k < d_; ++k)
          half(i, j) += x(i, k) * (back ? va_(group_of(i) * d_ + k, j) : va_(group_of(i) * d_ + j, k));
    for (std::int64_t i = 0; i < m_; ++i)
      for (std::int64_t j = 0; j < d_; ++j)
        for (std::int64_t k = 0; k < group_rows(); ++k) {
          const std::int64_t top = group_of(i) * group_rows();
          out(i, j) += (back ? vb_(top + k, i - top) : vb_(i, k)) * half(top + k, j);
        }
    return out;
  }

  // S <- rho S + (1 - rho) (1/N) sum_n (V_B grad_n V_A^T)^2
  void measure(const Rows& rows) {
    for (double& value : s_.values) value *= 0.75;
    for (std::int64_t n = 0; n < case_.samples; ++n) {
      twin::Matrix gradient(m_, d_);
      for (std::int64_t row = n * positions(); row < (n + 1) * positions(); ++row)
        for (std::int64_t i = 0; i < m_; ++i)
          for (std::int64_t j = 0; j < d_; ++j)
            gradient(i, j) += rows.signal(row, i) * input(rows, row, group_of(i), j);
      const twin::Matrix there = rotate(gradient, false);
      for (std::size_t k = 0; k < s_.values.size(); ++k)
        s_.values[k] += 0.25 / static_cast<double>(case_.samples) * there.values[k] * there.values[k];
    }
  }

  // V x V^T of group g: diagonal, and of what V is a basis. Error beside the norm.
  void check_basis(const twin::Matrix& v, const twin::Matrix& x, std::vector<double>& values) const {
    const std::int64_t n = v.cols;
    values.assign(static_cast<std::size_t>(v.rows), 0.0);
    for (std::int64_t top = 0; top < v.rows; top += n) {
      twin::Matrix vg(n, n), xg(n, n), vt(n, n);
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) vg(i, j) = vt(j, i) = v(top + i, j), xg(i, j) = x(top + i, j);
      const twin::Matrix one = multiply(vg, vt), diagonal = multiply(multiply(vg, xg), vt);
      double orthogonal = 0, beside = 0;
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          orthogonal = std::max(orthogonal, std::fabs(one(i, j) - (i == j ? 1 : 0)));
          if (i != j) beside = std::max(beside, std::fabs(diagonal(i, j)));
        }
      for (std::int64_t i = 0; i < n; ++i) values[static_cast<std::size_t>(top + i)] = diagonal(i, i);
      CHECK_WITHIN(orthogonal, tolerance());
      CHECK_WITHIN(beside, tolerance() * norm(xg));
    }
  }

  // After a new basis: S_ij = b_i a_j, the eigenvalues.
  void restart() {
    va_ = optimizer_.read(0, LNGD_FIELD_PHI_INVERSE, groups_ * d_, d_);
    vb_ = optimizer_.read(0, LNGD_FIELD_PSI_INVERSE, m_, group_rows());
    std::vector<double> a, b;
    check_basis(va_, a_, a);
    check_basis(vb_, b_, b);
    s_ = twin::Matrix(m_, d_);
    for (std::int64_t i = 0; i < m_; ++i)
      for (std::int64_t j = 0; j < d_; ++j)
        s_(i, j) = b[static_cast<std::size_t>(i)] * a[static_cast<std::size_t>(group_of(i) * d_ + j)];
  }

  // Backward error of a symmetric eigenproblem: a modest multiple of n u (LAPACK guide, 4.7), beside that of the sums,
  // sqrt of their number times u. With 40 samples and 30 positions n below 40.
  double tolerance() const {
    return 40 * kEps + 4 * std::sqrt(static_cast<double>(case_.samples * positions())) * kEps;
  }

  double lambda() const {
    double mean = 0;
    for (const double value : s_.values) mean += value / static_cast<double>(m_ * d_);
    if (case_.damping == LNGD_DAMPING_RELATIVE) return 0.3 * mean;
    return case_.damping == LNGD_DAMPING_ABSOLUTE ? std::min(std::max(mean, 0.1), 0.5) : 0.3;
  }

  // D = V_B^T [(V_B G V_A^T) / (S + lambda)] V_A. An element of S is off by at most the tolerance times ||A|| ||B||
  // (or the largest S), which lambda bounds from below.
  void compare(const twin::Matrix& gradient) const {
    const double l = lambda();
    twin::Matrix there = rotate(gradient, false);
    for (std::size_t k = 0; k < there.values.size(); ++k) there.values[k] /= s_.values[k] + l;
    const twin::Matrix direction = rotate(there, true);
    double largest = norm(a_) * norm(b_);
    for (const double value : s_.values) largest = std::max(largest, value);
    const double relative = tolerance() * (1 + largest / l);
    CHECK_NEAR(optimizer_.health(0).lambda_psi, l, tolerance() * l);
    CHECK_EQ(optimizer_.health(0).lambda_phi_max, optimizer_.health(0).lambda_psi);
    CHECK_WITHIN(distance(optimizer_.read(0, LNGD_FIELD_DIRECTION, m_, d_), direction), relative * norm(direction));
    CHECK_NEAR(optimizer_.health(0).inner_product, dot(direction, gradient),
               relative * norm(direction) * norm(gradient));
    CHECK_NEAR(optimizer_.health(0).direction_norm, norm(direction), relative * norm(direction));
  }

  EkfacCase case_;
  lngd_layer_config layer_;
  bool convolution_;
  std::int64_t groups_, m_, d_w_, d_;
  Geometry size_;
  Optimizer optimizer_;
  Tensor weights_, bias_, weight_gradients_, bias_gradients_;
  Random random_;
  lngd_plan* plan_ = nullptr;
  twin::Matrix a_, b_, va_, vb_, s_;
};

} // namespace

TEST(eigenbasis_dense) {
  if (device() != LNGD_DEVICE_CPU) skip("EKFAC runs on the CPU");
  for (const bool bias : {false, true})
    for (const int block : {0, 5})
      for (const int damping : {LNGD_DAMPING_FACTORED, LNGD_DAMPING_RELATIVE, LNGD_DAMPING_ABSOLUTE})
        for (const int threads : {1, 2}) {
          EkfacCase c;
          c.name = "bias " + std::to_string(bias) + " block " + std::to_string(block) + " damping " +
                   std::to_string(damping) + " threads " + std::to_string(threads);
          c.layer = dense(13, 9, bias);
          c.block = block;
          c.damping = damping;
          c.threads = threads;
          Ekfac ekfac(c);
          ekfac.run();
          Ekfac again(c);
          again.run();
          CHECK(again.direction() == ekfac.direction());
        }
}

TEST(eigenbasis_convolutions) {
  if (device() != LNGD_DEVICE_CPU) skip("EKFAC runs on the CPU");
  const lngd_layer_config layers[] = {with_geometry(convolution(3, 5, 3, 3), 1, 1, 1),
                                      with_geometry(convolution(4, 6, 3, 2), 2, 1, 0, 1, 2), convolution(6, 4, 1, 1),
                                      with_geometry(convolution(3, 4, 3, 3), 2, 1, 1, 2)};
  for (std::size_t which = 0; which < std::size(layers); ++which)
    for (const ImageLayout layout : {ImageLayout::Nchw, ImageLayout::Nhwc})
      for (const int threads : {1, 2}) {
        EkfacCase c;
        c.name = "layer " + std::to_string(which) + " in " + image_layout_name(layout) + " threads " +
                 std::to_string(threads);
        c.layer = layers[which];
        c.layout = layout;
        c.threads = threads;
        c.block = which == 3 ? 8 : 0;
        Ekfac ekfac(c);
        ekfac.run();
      }
}
