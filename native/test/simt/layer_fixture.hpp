// SPDX-License-Identifier: Apache-2.0
// A layer in device memory, with the caller's tensors in layouts that are hard to serve, and its numbers on the host.
#ifndef LNGD_SIMT_LAYER_FIXTURE_HPP
#define LNGD_SIMT_LAYER_FIXTURE_HPP

#include <memory>
#include <vector>

#include "backend/cuda/kernels.h"
#include "device_array.hpp"
#include "simt.hpp"

namespace fixture {

using lngd::LayerRecord;
using lngd::Strided;

enum class Layout { Rows, PaddedRows, Columns, OffByOne, EveryOther };
constexpr Layout kLayouts[] = {Layout::Rows, Layout::PaddedRows, Layout::Columns, Layout::OffByOne, Layout::EveryOther};

inline const char* name(Layout layout) {
  switch (layout) {
    case Layout::Rows:
      return "rows";
    case Layout::PaddedRows:
      return "padded rows";
    case Layout::Columns:
      return "columns";
    case Layout::OffByOne:
      return "rows off by a float";
    case Layout::EveryOther:
      return "every other float of aligned rows";
  }
  return "?";
}

class Numbers { // uniform in [-1, 1)
 public:
  explicit Numbers(uint32_t seed) : state_(seed * 2654435761u + 1) {}
  float next() {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<float>(static_cast<int32_t>(state_)) * 0x1p-31f;
  }
  std::vector<float> vector(int64_t count, float scale = 1) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& v : values) v = scale * next();
    return values;
  }

 private:
  uint32_t state_;
};

// A matrix of the caller's. What lies between its elements must not change.
class Tensor {
 public:
  Tensor(int64_t rows, int64_t columns, Layout layout, const std::vector<float>& values)
      : rows_(rows), columns_(columns) {
    offset_ = layout == Layout::OffByOne ? 1 : 0;
    cs_ = layout == Layout::Columns ? rows : layout == Layout::EveryOther ? 2 : 1;
    rs_ = layout == Layout::Columns ? 1 : columns;
    if (layout == Layout::PaddedRows) rs_ = (columns + 7) / 4 * 4;
    if (layout == Layout::EveryOther) rs_ = (2 * columns + 3) / 4 * 4;
    std::vector<float> raw(static_cast<size_t>(offset_ + (rows - 1) * rs_ + (columns - 1) * cs_ + 1), kGap);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) raw[at(i, j)] = values[static_cast<size_t>(i * columns + j)];
    memory_ = std::make_unique<Array<float>>(raw);
  }
  Strided strided() const { return {memory_->data + offset_, rs_, cs_}; }
  // Row-major; fails the test where a gap was written.
  std::vector<float> read() const {
    const std::vector<float> raw = memory_->read();
    std::vector<float> values;
    size_t gaps = 0;
    for (const float x : raw) gaps += x == kGap;
    for (int64_t i = 0; i < rows_; ++i)
      for (int64_t j = 0; j < columns_; ++j) values.push_back(raw[at(i, j)]);
    CHECK_EQ(gaps, raw.size() - values.size());
    return values;
  }

 private:
  static constexpr float kGap = -12345.0f;
  size_t at(int64_t i, int64_t j) const { return static_cast<size_t>(offset_ + i * rs_ + j * cs_); }
  int64_t rows_, columns_, offset_, rs_, cs_;
  std::unique_ptr<Array<float>> memory_;
};

struct Shape {
  int32_t outputs, inputs;
  bool bias;
  Layout layout;
  int32_t block; // 0: the whole factor
  int32_t columns() const { return inputs + (bias ? 1 : 0); }
  int64_t ldw() const { return lngd::padded(columns()); }
};

// weights, gradients: outputs x inputs. momentum, average, direction: outputs x ldw, the padding NaN on the emulator.
struct Layer {
  Shape shape;
  std::vector<float> w, b, g, gb, m, a, d, psi_inverse;
  Tensor weights, bias, gradients, bias_gradients;
  Array<float> momentum, average, direction, psi;
  Array<LayerRecord> record;

  Layer(const Shape& s, const LayerRecord& r, uint32_t seed, float weight_scale = 1, float gradient_scale = 1)
      : Layer(s, r, Numbers(seed), weight_scale, gradient_scale) {}

  lngd::cuda::DeviceLayer device(bool with_average = true) const {
    return {record.data,
            weights.strided(),
            bias.strided(),
            gradients.strided(),
            bias_gradients.strided(),
            momentum.data,
            with_average ? average.data : nullptr,
            direction.data,
            psi.data,
            shape.ldw(),
            shape.inputs,
            shape.outputs,
            shape.bias ? 1 : 0};
  }

 private:
  Layer(const Shape& s, const LayerRecord& r, Numbers numbers, float weight_scale, float gradient_scale)
      : shape(s),
        w(numbers.vector(int64_t{s.outputs} * s.inputs, weight_scale)),
        b(numbers.vector(s.outputs, weight_scale)),
        g(numbers.vector(int64_t{s.outputs} * s.inputs, gradient_scale)),
        gb(numbers.vector(s.outputs, gradient_scale)),
        m(numbers.vector(s.outputs * s.ldw())),
        a(numbers.vector(s.outputs * s.ldw())),
        d(numbers.vector(s.outputs * s.ldw())),
        psi_inverse(numbers.vector(s.outputs)),
        weights(s.outputs, s.inputs, s.layout, w),
        bias(s.outputs, 1, s.layout, b),
        gradients(s.outputs, s.inputs, s.layout, g),
        bias_gradients(s.outputs, 1, s.layout, gb),
        momentum(m),
        average(a),
        direction(d),
        psi(positive(psi_inverse)),
        record(std::vector<LayerRecord>{r}) {}

  static const std::vector<float>& positive(std::vector<float>& values) {
    for (float& v : values) v = 0.5f + (v < 0 ? -v : v);
    return values;
  }
};

// All schedules that a kernel is run with; the launches under one must not report anything.
struct Schedule {
  simt::Order order;
  unsigned seed;
};
constexpr Schedule kSchedules[] = {{simt::Order::Forward, 1}, {simt::Order::Reverse, 1}, {simt::Order::Random, 5}};

inline void start() {
  simt::reset();
  simt::catch_guard_pages();
}

inline void finish_launches() {
  CHECK_EQ(cudaDeviceSynchronize(), cudaSuccess);
  for (const simt::Report& report : simt::take_reports()) conformance::fail(__FILE__, __LINE__, report.text);
}

} // namespace fixture
#endif
