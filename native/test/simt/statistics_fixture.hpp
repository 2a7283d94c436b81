// SPDX-License-Identifier: Apache-2.0
// The sums of a layer's coming update in device memory, and their double twin.
#ifndef LNGD_SIMT_STATISTICS_FIXTURE_HPP
#define LNGD_SIMT_STATISTICS_FIXTURE_HPP

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/statistics.h"
#include "layer_fixture.hpp"
#include "reference.hpp"

namespace fixture {

using lngd::LayerMemory;
using lngd::LayerShape;
using lngd::cuda::Precision;

constexpr double kFloatEps = 0x1p-24; // the most that one rounding changes a float by, relatively

inline const char* name(Precision precision) {
  switch (precision) {
    case Precision::Float32:
      return "float";
    case Precision::TripleTf32:
      return "3xTF32";
    case Precision::Tf32:
      return "TF32";
    case Precision::Bfloat16:
      return "bfloat16";
  }
  return "?";
}

// What the products of Phi lose, relative to sum_n r_n |a_i a_j|.
//   float      sqrt(r), its square, the products and sums of at most 300 addends in runs: 16 roundings, generously
//   3xTF32     2^-22 of each product is left out, twice, and sums of 16 are truncated
//   TF32       11 bits: 2^-11 of each factor;   bfloat16   8 bits: 2^-8 of each
inline double product_error(Precision precision) {
  switch (precision) {
    case Precision::Tf32:
      return 0x1p-10;
    case Precision::Bfloat16:
      return 0x1p-7;
    default:
      return 0x1p-20;
  }
}

// phi_sum, psi_sum, denominator and record. What lies above the diagonals and in the padding of Phi must not change.
class Sums {
 public:
  explicit Sums(const LayerShape& shape)
      : shape_(shape),
        phi_(initial(shape)),
        psi_(std::vector<double>(static_cast<size_t>(shape.outputs), 0.0)),
        denominator_(std::vector<double>(static_cast<size_t>(shape.blocks.groups), 0.0)),
        record_(std::vector<LayerRecord>{LayerRecord{}}) {}

  LayerMemory memory() {
    LayerMemory m{};
    m.phi_sum = phi_.data;
    m.psi_sum = psi_.data;
    m.denominator = denominator_.data;
    m.record = record_.data;
    return m;
  }
  std::vector<float> phi() const { return phi_.read(); }
  std::vector<double> psi() const { return psi_.read(); }
  std::vector<double> denominator() const { return denominator_.read(); }
  LayerRecord record() const { return record_.read()[0]; }

  static constexpr float kGap = -54321.0f;

 private:
  static std::vector<float> initial(const LayerShape& shape) {
    const lngd::BlockLayout& blocks = shape.blocks;
    std::vector<float> phi(static_cast<size_t>(blocks.floats()), kGap);
    for (int64_t k = 0; k < blocks.count(); ++k)
      for (int64_t i = 0; i < blocks.size(k); ++i)
        for (int64_t j = 0; j <= i; ++j) phi[static_cast<size_t>(blocks.offset(k) + i * blocks.ld(k) + j)] = 0;
    return phi;
  }
  LayerShape shape_;
  Array<float> phi_;
  Array<double> psi_, denominator_;
  Array<LayerRecord> record_;
};

// A (rows x d, with the column of a bias) and q (rows x m) of a group in double, and what they sum to.
struct RowTwin {
  int64_t rows, d, m;
  std::vector<double> a, q;

  double r(int64_t n) const {
    double sum = 0;
    for (int64_t i = 0; i < m; ++i) sum += q[static_cast<size_t>(n * m + i)];
    return sum;
  }
  double c(int64_t n) const {
    double sum = 0;
    for (int64_t j = 0; j < d; ++j) sum += a[static_cast<size_t>(n * d + j)] * a[static_cast<size_t>(n * d + j)];
    return sum;
  }
};

// Holds the sums against the rows of all groups. `q_error` is the relative error of r and q.
inline void check_sums(const LayerShape& shape, const Sums& sums, const std::vector<RowTwin>& groups,
                       Precision precision, double q_error) {
  const lngd::BlockLayout& blocks = shape.blocks;
  const std::vector<float> phi = sums.phi();
  const std::vector<double> psi = sums.psi(), denominator = sums.denominator();
  const double bound = product_error(precision) + q_error;
  double worst = 0;
  int64_t kept = 0;
  for (int64_t k = 0; k < blocks.count(); ++k) {
    const RowTwin& rows = groups[static_cast<size_t>(blocks.group(k))];
    const int64_t size = blocks.size(k), begin = blocks.begin(k), ld = blocks.ld(k);
    std::vector<double> sum(static_cast<size_t>(size * size)), absolute(sum);
    for (int64_t n = 0; n < rows.rows; ++n) {
      const double r = rows.r(n);
      const double* const a = rows.a.data() + n * rows.d + begin;
      for (int64_t i = 0; i < size; ++i)
        for (int64_t j = 0; j <= i; ++j) {
          sum[static_cast<size_t>(i * size + j)] += r * a[i] * a[j];
          absolute[static_cast<size_t>(i * size + j)] += r * std::fabs(a[i] * a[j]);
        }
    }
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = 0; j < ld; ++j) {
        const float x = phi[static_cast<size_t>(blocks.offset(k) + i * ld + j)];
        if (j > i) {
          kept += x != Sums::kGap;
          continue;
        }
        const size_t at = static_cast<size_t>(i * size + j);
        const double error = std::fabs(x - sum[at]);
        if (!(error <= bound * absolute[at])) worst = INFINITY; // NaN, and an error where all is zero
        if (absolute[at] > 0) worst = std::max(worst, error / absolute[at]);
      }
  }
  CHECK_EQ(kept, 0);
  CHECK_WITHIN(worst, bound);
  // Less than that the coarse modes cannot lose, unless another mode ran. Few products may be exact.
  if (product_error(precision) > 0x1p-20 && blocks.d > 16) CHECK_GT(worst, product_error(precision) / 64);
  for (int64_t g = 0; g < blocks.groups; ++g) {
    const RowTwin& rows = groups[static_cast<size_t>(g)];
    std::vector<double> expected(static_cast<size_t>(rows.m));
    double total = 0;
    for (int64_t n = 0; n < rows.rows; ++n) {
      const double c = rows.c(n);
      total += c * rows.r(n);
      for (int64_t i = 0; i < rows.m; ++i)
        expected[static_cast<size_t>(i)] += c * rows.q[static_cast<size_t>(n * rows.m + i)];
    }
    // c in float runs, c q and sums of at most 32 of them in float: 40 roundings of positive numbers.
    for (int64_t i = 0; i < rows.m; ++i)
      CHECK_NEAR(psi[static_cast<size_t>(g * rows.m + i)], expected[static_cast<size_t>(i)],
                 (40 * kFloatEps + q_error) * expected[static_cast<size_t>(i)]);
    CHECK_NEAR(denominator[static_cast<size_t>(g)], total, (40 * kFloatEps + q_error) * total);
  }
}

} // namespace fixture
#endif
