// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the ABI share: tensors of every layout with guard bytes, a fixed random source, owners of handles.
#ifndef LNGD_TEST_FIXTURE_HPP
#define LNGD_TEST_FIXTURE_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "harness.hpp"
#include "lngd/lngd.h"
#include "reference.hpp"

// Fails with the library's message where a call does not return LNGD_OK.
#define CHECK_OK(call)                                                                                           \
  do {                                                                                                           \
    const int ok_status = (call);                                                                                \
    if (ok_status == LNGD_OK)                                                                                    \
      conformance::passed();                                                                                     \
    else                                                                                                         \
      conformance::fail(__FILE__, __LINE__,                                                                      \
                        std::string(#call) + " gave " + lngd_status_name(ok_status) + ": " + lngd_last_error()); \
  } while (false)
#define REQUIRE_OK(call)                                                                                         \
  do {                                                                                                           \
    const int ok_status = (call);                                                                                \
    if (ok_status != LNGD_OK) {                                                                                  \
      conformance::fail(__FILE__, __LINE__,                                                                      \
                        std::string(#call) + " gave " + lngd_status_name(ok_status) + ": " + lngd_last_error()); \
      throw conformance::Abandon();                                                                              \
    }                                                                                                            \
    conformance::passed();                                                                                       \
  } while (false)

namespace conformance {

// Unit roundoff of float32.
constexpr double kEps = 0x1p-24;

// splitmix64: the same numbers on every platform, unlike the distributions of <random>.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits();
  double uniform(); // in (0, 1)
  double normal();
  float normal_float(double scale = 1) { return static_cast<float>(scale * normal()); }

 private:
  std::uint64_t state_;
};

// How a matrix (or vector) lies in memory.
enum class Layout {
  Compact,        // row-major, strides NULL
  CompactStrides, // row-major, strides given
  Transposed,     // column-major
  PaddedRows,     // row-major with a gap after each row
  Spread,         // gaps between all elements
  NegativeRows,   // row 0 lies last
  NegativeBoth,   // both strides negative
  ByteOffset,     // data + byte_offset is not aligned to 4 bytes
};
constexpr Layout kLayouts[] = {Layout::Compact, Layout::CompactStrides, Layout::Transposed,   Layout::PaddedRows,
                               Layout::Spread,  Layout::NegativeRows,   Layout::NegativeBoth, Layout::ByteOffset};
const char* layout_name(Layout layout);

// A float32 tensor in a buffer of its own whose other bytes are a known pattern. Not copied: lngd_tensor points into
// it.
class Tensor {
 public:
  Tensor(std::int64_t rows, std::int64_t cols, Layout layout = Layout::Compact);
  explicit Tensor(std::int64_t size, Layout layout = Layout::Compact); // a vector
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;

  std::int64_t rows() const { return shape_[0]; }
  std::int64_t cols() const { return dimensions_ == 2 ? shape_[1] : 1; }
  float get(std::int64_t i, std::int64_t j = 0) const;
  void set(std::int64_t i, std::int64_t j, double value); // rounded to float
  void fill(const twin::Matrix& values);
  void fill(double value);
  twin::Matrix values() const;

  lngd_tensor view() const;
  const lngd_tensor* pointer() const; // to a view kept inside, for calls that take a pointer
  // True if no byte outside the elements changed since construction.
  bool guards_intact() const;
  std::vector<std::uint8_t> bytes() const { return storage_; }
  std::vector<std::uint8_t>& storage() { return storage_; } // guards included

 private:
  void place(Layout layout);
  std::size_t position(std::int64_t i, std::int64_t j) const;

  int dimensions_;
  std::int64_t shape_[2];
  std::int64_t strides_[2];
  bool strides_given_ = true;
  std::size_t start_ = 0; // of element (0, 0), in bytes
  std::uint64_t byte_offset_ = 0;
  std::vector<std::uint8_t> storage_;
  mutable lngd_tensor tensor_;
};

twin::Matrix random_matrix(std::int64_t rows, std::int64_t cols, Random* random, double scale = 1);
twin::Matrix rounded(twin::Matrix matrix); // to float32

// Owner of an optimizer handle.
class Optimizer {
 public:
  Optimizer(const lngd_config& config, const std::vector<lngd_layer_config>& layers);
  ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  lngd_optimizer* handle() const { return handle_; }
  lngd_health health(int layer) const;
  std::vector<float> read(int layer, int field) const;
  twin::Matrix read(int layer, int field, std::int64_t rows, std::int64_t cols) const;
  std::vector<std::uint8_t> state() const;
  bool needs_statistics(int layer) const;

 private:
  lngd_optimizer* handle_ = nullptr;
};

// On the emulator: that no kernel was launched so far whose code was not loaded when its optimizer was created.
void check_loaded_kernels();
// lngd_device of --device.
int device();
// Skips the test where another device is tested on a machine without OpenBLAS (a bare one with a GPU).
void require_cpu_backend();
lngd_config preset(int which, std::int64_t total_steps = 100);
lngd_layer_config dense(std::int64_t inputs, std::int64_t outputs, bool bias = true,
                        int activation = LNGD_ACTIVATION_RELU, int output = LNGD_OUTPUT_HIDDEN);

double largest_difference(const twin::Matrix& a, const twin::Matrix& b); // NaN if one is met
double distance(const twin::Matrix& a, const twin::Matrix& b);           // Frobenius norm of the difference

} // namespace conformance

#endif // LNGD_TEST_FIXTURE_HPP
