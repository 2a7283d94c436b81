// SPDX-License-Identifier: Apache-2.0
#include "statistics_data.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "numbers.cuh"

namespace bench {
namespace {

lngd::LayerRecord fresh() {
  lngd::LayerRecord r{};
  r.last_failed_block = r.last_failed_pivot = -1;
  return r;
}

} // namespace

StatisticsData::StatisticsData(const Layer& layer, const Preset& preset, Order order)
    : layer_(layer),
      shape_(layer.shape(preset)),
      order_(order),
      samples_(layer.samples(preset)),
      rows_(samples_ * layer.positions()),
      inputs_(samples_ * layer.inputs * layer.height * layer.width),
      signal_(rows_ * layer.outputs),
      phi_sum_(shape_.blocks.floats()),
      psi_sum_(shape_.outputs),
      denominator_(shape_.groups),
      record_(std::vector<lngd::LayerRecord>{fresh()}),
      memory_{} {
  if (layer.groups != 1) throw Failed("the reference has no groups");
  fill(inputs_.get(), inputs_.count(), kInputs);
  fill(signal_.get(), signal_.count(), kSignal);
  memory_.phi_sum = phi_sum_.get();
  memory_.psi_sum = psi_sum_.get();
  memory_.denominator = denominator_.get();
  memory_.record = record_.get();
  reset();
}

void StatisticsData::reset() {
  BENCH_CUDA(cudaMemset(phi_sum_.get(), 0, static_cast<size_t>(phi_sum_.count()) * sizeof(float)));
  BENCH_CUDA(cudaMemset(psi_sum_.get(), 0, static_cast<size_t>(psi_sum_.count()) * sizeof(double)));
  BENCH_CUDA(cudaMemset(denominator_.get(), 0, static_cast<size_t>(denominator_.count()) * sizeof(double)));
  const lngd::LayerRecord r = fresh();
  BENCH_CUDA(cudaMemcpy(record_.get(), &r, sizeof r, cudaMemcpyHostToDevice));
}

// A dense layer of several positions is one whose rows are all of them.
lngd::StatisticsArgs StatisticsData::dense() {
  lngd::StatisticsArgs args{};
  args.shape = &shape_;
  args.memory = &memory_;
  args.inputs = {inputs_.get(), layer_.inputs, 1, true};
  args.signal = {signal_.get(), layer_.outputs, 1, true};
  args.signal_kind = LNGD_SIGNAL_PRE_ACTIVATIONS;
  args.samples = rows_;
  args.seed = 1;
  return args;
}

lngd::ConvStatisticsArgs StatisticsData::conv() {
  const auto activations = [&](float* data, int64_t channels, int64_t height, int64_t width) {
    lngd::Activations a{};
    a.data = data;
    const int64_t nchw[] = {channels * height * width, height * width, width, 1};
    const int64_t nhwc[] = {channels * height * width, 1, width * channels, channels};
    std::copy_n(order_ == Order::Nchw ? nchw : nhwc, 4, a.stride);
    a.height = static_cast<int32_t>(height);
    a.width = static_cast<int32_t>(width);
    a.device = true;
    return a;
  };
  lngd::ConvStatisticsArgs args{};
  args.shape = &shape_;
  args.memory = &memory_;
  args.inputs = activations(inputs_.get(), layer_.inputs, layer_.height, layer_.width);
  args.signal = activations(signal_.get(), layer_.outputs, layer_.out_height(), layer_.out_width());
  args.signal_kind = LNGD_SIGNAL_PRE_ACTIVATIONS;
  args.samples = samples_;
  args.seed = 1;
  return args;
}

int64_t StatisticsData::input_at(int64_t row, int64_t column) const {
  if (column == shape_.inputs) return -2;
  if (!layer_.conv) return row * layer_.inputs + column;
  const int64_t n = row / layer_.positions(), position = row % layer_.positions(), k = layer_.kernel;
  const int64_t y = position / layer_.out_width() * layer_.stride - layer_.padding + column / k % k;
  const int64_t x = position % layer_.out_width() * layer_.stride - layer_.padding + column % k;
  const int64_t c = column / (k * k);
  if (y < 0 || y >= layer_.height || x < 0 || x >= layer_.width) return -1;
  return order_ == Order::Nchw ? ((n * layer_.inputs + c) * layer_.height + y) * layer_.width + x
                               : ((n * layer_.height + y) * layer_.width + x) * layer_.inputs + c;
}

int64_t StatisticsData::signal_at(int64_t row, int64_t output) const {
  if (!layer_.conv || order_ == Order::Nhwc) return row * layer_.outputs + output;
  const int64_t n = row / layer_.positions(), position = row % layer_.positions();
  return (n * layer_.outputs + output) * layer_.positions() + position;
}

double StatisticsData::input(int64_t row, int64_t column) const {
  const int64_t at = input_at(row, column);
  return at == -2 ? 1.0 : at == -1 ? 0.0 : static_cast<double>(uniform(kInputs, static_cast<uint64_t>(at)));
}

std::vector<double> StatisticsData::squares(int64_t row) const {
  std::vector<double> q(static_cast<size_t>(layer_.outputs));
  double total = 0;
  for (int64_t o = 0; o < layer_.outputs; ++o) {
    const double s = static_cast<double>(uniform(kSignal, static_cast<uint64_t>(signal_at(row, o))));
    double& x = q[static_cast<size_t>(o)];
    x = layer_.activation == "softmax" ? std::exp(s) : layer_.activation == "relu" ? (s > 0 ? 1.0 : 0.0) : 1.0;
    total += x;
  }
  if (layer_.activation == "softmax")
    for (double& x : q) x = x / total * (1 - x / total);
  return q;
}

Reference StatisticsData::reference() const {
  const lngd::BlockLayout& blocks = shape_.blocks;
  Reference all;
  for (int64_t sample = 0; sample < 16; ++sample) {
    const int64_t k = sample * (blocks.count() - 1) / 15, n = blocks.size(k);
    const int64_t i = (sample * 7919 + n - 1) % n, j = sample % 4 == 0 ? i : sample * 104729 % (i + 1);
    all.elements.push_back({blocks.begin(k) + i, blocks.begin(k) + j, blocks.offset(k) + i * blocks.ld(k) + j, 0, 0});
  }
  std::mutex lock;
  parallel(rows_, [&](int64_t begin, int64_t end) {
    Reference mine;
    mine.elements = all.elements;
    for (Reference::Element& e : mine.elements) e.sum = e.absolute = 0;
    for (int64_t row = begin; row < end; ++row) {
      const std::vector<double> q = squares(row);
      double r = 0, c = 0;
      for (const double x : q) r += x;
      for (Reference::Element& e : mine.elements) {
        const double term = r * input(row, e.i) * input(row, e.j);
        e.sum += term;
        e.absolute += std::fabs(term);
      }
      for (int64_t column = 0; column < shape_.d; ++column) {
        const double a = input(row, column);
        c += a * a;
      }
      for (int k = 0; k < 3; ++k) mine.psi[k] += c * q[static_cast<size_t>(checked_output(k))];
      mine.denominator += c * r;
    }
    const std::lock_guard<std::mutex> guard(lock);
    for (size_t e = 0; e < all.elements.size(); ++e) {
      all.elements[e].sum += mine.elements[e].sum;
      all.elements[e].absolute += mine.elements[e].absolute;
    }
    for (int k = 0; k < 3; ++k) all.psi[k] += mine.psi[k];
    all.denominator += mine.denominator;
  });
  return all;
}

double StatisticsData::largest_error(const Reference& reference) const {
  const lngd::LayerRecord record = record_.read()[0];
  if (record.poisoned || record.samples != (layer_.conv ? samples_ : rows_))
    throw Failed("record: poisoned " + std::to_string(record.poisoned) + ", samples " + std::to_string(record.samples));
  const auto off = [](double got, double expected) {
    return !(std::fabs(got - expected) <= 1e-4 * std::fabs(expected));
  };
  if (off(denominator_.read()[0], reference.denominator)) throw Failed("the denominator is wrong");
  for (int k = 0; k < 3; ++k)
    if (off(psi_sum_.read(checked_output(k), 1)[0], reference.psi[k])) throw Failed("psi is wrong");
  double worst = 0;
  for (const Reference::Element& e : reference.elements) {
    const double got = static_cast<double>(phi_sum_.read(e.at, 1)[0]);
    const double error = std::fabs(got - e.sum) / e.absolute;
    worst = error <= worst ? worst : error; // NaN stays
  }
  return worst;
}

} // namespace bench
