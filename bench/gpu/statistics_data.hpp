// SPDX-License-Identifier: Apache-2.0
// Random inputs and signals of one layer on the device, and Phi, psi of them in double precision for a sample of
// elements.
#ifndef LNGD_GPU_BENCH_STATISTICS_DATA_HPP
#define LNGD_GPU_BENCH_STATISTICS_DATA_HPP

#include "cases.hpp"

namespace bench {

enum class Order { Nchw, Nhwc }; // of a convolution's tensors

// The same in double precision, of a sample of elements.
struct Reference {
  struct Element {
    int64_t i, j;         // columns of the layer, i >= j, in one block
    int64_t at;           // in phi_sum
    double sum, absolute; // of the terms
  };
  std::vector<Element> elements;
  double psi[3] = {}, denominator = 0;
};

class StatisticsData {
 public:
  StatisticsData(const Layer& layer, const Preset& preset, Order order);

  lngd::StatisticsArgs dense();
  lngd::ConvStatisticsArgs conv();
  // The sums become zero, as before the first batch of an update.
  void reset();
  // Largest error of the sums after one batch, of elements of Phi against the sum of their absolute terms. Throws where
  // psi or the denominator are off by more than 1e-4 of their size, or the batch was found poisoned.
  double largest_error(const Reference& reference) const;
  Reference reference() const;
  double bytes() const { return 4.0 * static_cast<double>(inputs_.count() + signal_.count()); }

 private:
  static constexpr uint32_t kInputs = 21, kSignal = 22;
  int64_t input_at(int64_t row, int64_t column) const; // -1: padding, -2: the constant 1
  int64_t signal_at(int64_t row, int64_t output) const;
  double input(int64_t row, int64_t column) const;
  std::vector<double> squares(int64_t row) const; // q of all outputs
  int64_t checked_output(int k) const { return k == 0 ? 0 : k == 1 ? layer_.outputs / 2 : layer_.outputs - 1; }

  Layer layer_;
  lngd::LayerShape shape_;
  Order order_;
  int64_t samples_, rows_;
  Buffer<float> inputs_, signal_, phi_sum_, phi_, psi_, phi_inverse_, psi_inverse_;
  Buffer<double> psi_sum_, denominator_;
  Buffer<lngd::LayerRecord> record_;
  lngd::LayerMemory memory_;
};

} // namespace bench
#endif
