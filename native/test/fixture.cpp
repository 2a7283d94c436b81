// SPDX-License-Identifier: Apache-2.0
//
// See fixture.hpp.
#include "fixture.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace conformance {
namespace {

constexpr std::uint8_t kGuard = 0xA5; // as a float -2.9e-16: an element read by mistake is not a zero
constexpr std::size_t kMargin = 256;  // guard bytes before the first and after the last element

} // namespace

std::uint64_t Random::bits() {
  std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

double Random::uniform() { return (static_cast<double>(bits() >> 11) + 0.5) * 0x1p-53; }

double Random::normal() {
  const double u = uniform();
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * 3.14159265358979323846 * uniform());
}

const char* layout_name(Layout layout) {
  switch (layout) {
    case Layout::Compact:
      return "compact";
    case Layout::CompactStrides:
      return "compact with strides";
    case Layout::Transposed:
      return "transposed";
    case Layout::PaddedRows:
      return "padded rows";
    case Layout::Spread:
      return "spread";
    case Layout::NegativeRows:
      return "negative row stride";
    case Layout::NegativeBoth:
      return "negative strides";
    case Layout::ByteOffset:
      return "byte offset 3";
  }
  return "?";
}

Tensor::Tensor(std::int64_t rows, std::int64_t cols, Layout layout)
    : dimensions_(2), shape_{rows, cols}, strides_{cols, 1} {
  place(layout);
}

Tensor::Tensor(std::int64_t size, Layout layout) : dimensions_(1), shape_{size, 1}, strides_{1, 1} { place(layout); }

void Tensor::place(Layout layout) {
  const std::int64_t n = shape_[0], m = shape_[1];
  const bool vector = dimensions_ == 1;
  switch (layout) {
    case Layout::Compact:
      strides_given_ = false;
      break;
    case Layout::CompactStrides:
      break;
    case Layout::ByteOffset:
      byte_offset_ = 3;
      break;
    case Layout::Transposed:
      strides_[0] = 1, strides_[1] = n;
      break;
    case Layout::PaddedRows:
      strides_[0] = vector ? 2 : m + 5;
      break;
    case Layout::Spread:
      strides_[1] = 3, strides_[0] = vector ? 3 : 3 * m + 2;
      break;
    case Layout::NegativeRows:
      strides_[0] = -strides_[0];
      break;
    case Layout::NegativeBoth:
      strides_[0] = vector ? -2 : -2 * m, strides_[1] = -2;
      break;
  }
  std::int64_t lowest = 0, highest = 0;
  const int used = dimensions_;
  for (int k = 0; k < used; ++k) {
    const std::int64_t reach = (shape_[k] - 1) * strides_[k];
    (reach < 0 ? lowest : highest) += reach;
  }
  start_ = kMargin + static_cast<std::size_t>(-lowest) * 4 + byte_offset_;
  storage_.assign(start_ + static_cast<std::size_t>(highest) * 4 + 4 + kMargin, kGuard);
  fill(0.0);
}

std::size_t Tensor::position(std::int64_t i, std::int64_t j) const {
  const std::int64_t elements = i * strides_[0] + (dimensions_ == 2 ? j * strides_[1] : 0);
  return static_cast<std::size_t>(static_cast<std::int64_t>(start_) + 4 * elements);
}

float Tensor::get(std::int64_t i, std::int64_t j) const {
  float value;
  std::memcpy(&value, storage_.data() + position(i, j), sizeof value);
  return value;
}

void Tensor::set(std::int64_t i, std::int64_t j, double value) {
  const float single = static_cast<float>(value);
  std::memcpy(storage_.data() + position(i, j), &single, sizeof single);
}

void Tensor::fill(const twin::Matrix& values) {
  for (std::int64_t i = 0; i < rows(); ++i)
    for (std::int64_t j = 0; j < cols(); ++j) set(i, j, values(i, j));
}

void Tensor::fill(double value) {
  for (std::int64_t i = 0; i < rows(); ++i)
    for (std::int64_t j = 0; j < cols(); ++j) set(i, j, value);
}

twin::Matrix Tensor::values() const {
  twin::Matrix result(rows(), cols());
  for (std::int64_t i = 0; i < rows(); ++i)
    for (std::int64_t j = 0; j < cols(); ++j) result(i, j) = get(i, j);
  return result;
}

lngd_tensor Tensor::view() const {
  lngd_tensor tensor{};
  // The ABI adds byte_offset itself. Const is cast away as DLPack has no const tensor.
  tensor.data = const_cast<std::uint8_t*>(storage_.data()) + start_ - byte_offset_;
  tensor.device_type = 1;
  tensor.ndim = dimensions_;
  tensor.dtype_code = 2;
  tensor.dtype_bits = 32;
  tensor.dtype_lanes = 1;
  tensor.shape = const_cast<std::int64_t*>(shape_);
  tensor.strides = strides_given_ ? const_cast<std::int64_t*>(strides_) : nullptr;
  tensor.byte_offset = byte_offset_;
  return tensor;
}

const lngd_tensor* Tensor::pointer() const {
  tensor_ = view();
  return &tensor_;
}

bool Tensor::guards_intact() const {
  std::vector<bool> element(storage_.size(), false);
  for (std::int64_t i = 0; i < rows(); ++i)
    for (std::int64_t j = 0; j < cols(); ++j)
      for (std::size_t k = 0; k < 4; ++k) element[position(i, j) + k] = true;
  for (std::size_t k = 0; k < storage_.size(); ++k)
    if (!element[k] && storage_[k] != kGuard) return false;
  return true;
}

twin::Matrix random_matrix(std::int64_t rows, std::int64_t cols, Random* random, double scale) {
  twin::Matrix result(rows, cols);
  for (double& value : result.values) value = random->normal_float(scale);
  return result;
}

twin::Matrix rounded(twin::Matrix matrix) {
  for (double& value : matrix.values) value = static_cast<float>(value);
  return matrix;
}

Optimizer::Optimizer(const lngd_config& config, const std::vector<lngd_layer_config>& layers) {
  REQUIRE_OK(lngd_create(&config, layers.data(), static_cast<int>(layers.size()), &handle_));
}

Optimizer::~Optimizer() {
  lngd_destroy(handle_);
  check_loaded_kernels();
}

lngd_health Optimizer::health(int layer) const {
  lngd_health health{};
  health.struct_size = sizeof health;
  REQUIRE_OK(lngd_layer_health(handle_, layer, &health));
  return health;
}

std::vector<float> Optimizer::read(int layer, int field) const {
  std::int64_t count = 0;
  REQUIRE_OK(lngd_layer_read(handle_, layer, field, nullptr, 0, &count));
  std::vector<float> values(static_cast<std::size_t>(count));
  REQUIRE_OK(lngd_layer_read(handle_, layer, field, values.data(), count, &count));
  REQUIRE(static_cast<std::size_t>(count) == values.size());
  return values;
}

twin::Matrix Optimizer::read(int layer, int field, std::int64_t rows, std::int64_t cols) const {
  const std::vector<float> values = read(layer, field);
  twin::Matrix result(rows, cols);
  REQUIRE(values.size() == result.values.size());
  std::copy(values.begin(), values.end(), result.values.begin());
  return result;
}

std::vector<std::uint8_t> Optimizer::state() const {
  std::int64_t bytes = 0;
  REQUIRE_OK(lngd_state_size(handle_, &bytes));
  std::vector<std::uint8_t> buffer(static_cast<std::size_t>(bytes));
  std::int64_t written = 0;
  REQUIRE_OK(lngd_state_save(handle_, buffer.data(), bytes, &written));
  REQUIRE(written == bytes);
  return buffer;
}

bool Optimizer::needs_statistics(int layer) const {
  std::uint32_t bits = 0;
  REQUIRE_OK(lngd_needs(handle_, layer, &bits));
  return (bits & LNGD_NEEDS_STATISTICS) != 0;
}

lngd_config preset(int which, std::int64_t total_steps) {
  lngd_config config;
  std::memset(&config, 0, sizeof config);
  REQUIRE_OK(lngd_config_init(which, total_steps, &config));
  config.device = device();
  config.threads = 1;
  config.precision =
      LNGD_PRECISION_TF32X3; // the twin's tolerances are float32's; test_precision.cpp is about the others
  return config;
}

int device() {
  const std::string& name = device_name();
  return name == "cuda" ? LNGD_DEVICE_CUDA : name == "emulated" ? LNGD_DEVICE_CUDA_EMULATED : LNGD_DEVICE_CPU;
}

void require_cpu_backend() {
  lngd_backend_description info{};
  info.struct_size = sizeof info;
  REQUIRE_OK(lngd_backend_info(LNGD_DEVICE_CPU, &info));
  if (device() != LNGD_DEVICE_CPU && !info.available) skip(std::string("the CPU backend: ") + info.reason);
}

lngd_layer_config dense(std::int64_t inputs, std::int64_t outputs, bool bias, int activation, int output) {
  lngd_layer_config layer;
  std::memset(&layer, 0, sizeof layer);
  REQUIRE_OK(lngd_layer_init(inputs, outputs, &layer));
  layer.bias = bias ? 1 : 0;
  layer.activation = activation;
  layer.output = output;
  if (activation == LNGD_ACTIVATION_LEAKY_RELU) layer.activation_parameter = 0.01;
  if (activation == LNGD_ACTIVATION_ELU) layer.activation_parameter = 1;
  return layer;
}

double largest_difference(const twin::Matrix& a, const twin::Matrix& b) {
  double largest = 0;
  for (std::size_t k = 0; k < a.values.size(); ++k) {
    const double difference = std::fabs(a.values[k] - b.values[k]);
    if (!(difference <= largest)) largest = difference; // a NaN stays
  }
  return largest;
}

double distance(const twin::Matrix& a, const twin::Matrix& b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.values.size(); ++k) sum += (a.values[k] - b.values[k]) * (a.values[k] - b.values[k]);
  return std::sqrt(sum);
}

} // namespace conformance
