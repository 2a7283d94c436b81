// SPDX-License-Identifier: Apache-2.0
//
// Version, status names, Philox4x32-10, activations and their derivatives.
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "fixture.hpp"

using namespace conformance;

TEST(library_version_agrees_with_header) {
  CHECK_EQ(lngd_version(),
           static_cast<std::uint32_t>(LNGD_VERSION_MAJOR << 16 | LNGD_VERSION_MINOR << 8 | LNGD_VERSION_PATCH));
  const std::string expected = std::to_string(LNGD_VERSION_MAJOR) + "." + std::to_string(LNGD_VERSION_MINOR) + "." +
                               std::to_string(LNGD_VERSION_PATCH);
  CHECK_EQ(std::string(lngd_version_string()), expected);
}

TEST(library_status_names) {
  CHECK_EQ(std::string(lngd_status_name(LNGD_OK)), std::string("LNGD_OK"));
  CHECK_EQ(std::string(lngd_status_name(LNGD_BUSY)), std::string("LNGD_BUSY"));
  CHECK_EQ(std::string(lngd_status_name(LNGD_INTERNAL)), std::string("LNGD_INTERNAL"));
  CHECK_EQ(std::string(lngd_status_name(LNGD_DEVICE_LOST)), std::string("LNGD_DEVICE_LOST"));
  for (const int beyond : {-1, LNGD_DEVICE_LOST + 1, 1 << 30, std::numeric_limits<int>::min()})
    CHECK_EQ(std::string(lngd_status_name(beyond)), std::string("unknown status"));
}

// kat_vectors of Random123, philox4x32 with 10 rounds: counter, key, output.
TEST(philox_known_answers) {
  const std::uint32_t answers[][10] = {{0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                       {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
                                        0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                       {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0,
                                        0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
  for (const auto& line : answers) {
    std::uint32_t out[4] = {};
    REQUIRE_OK(lngd_philox(line, line + 4, out));
    const auto twins = twin::philox({line[0], line[1], line[2], line[3]}, {line[4], line[5]});
    for (std::size_t k = 0; k < 4; ++k) {
      CHECK_EQ(out[k], line[6 + k]);
      CHECK_EQ(twins[k], line[6 + k]); // the twin has to pass as well
    }
  }
}

TEST(philox_equals_twin_on_random_counters) {
  Random random(5);
  for (int i = 0; i < 1000; ++i) {
    std::uint32_t in[6], out[4];
    for (std::uint32_t& word : in) word = static_cast<std::uint32_t>(random.bits());
    REQUIRE_OK(lngd_philox(in, in + 4, out));
    const auto twins = twin::philox({in[0], in[1], in[2], in[3]}, {in[4], in[5]});
    CHECK(std::equal(twins.begin(), twins.end(), out));
  }
}

namespace {

struct Function {
  int kind;
  double parameter;
};

const Function kFunctions[] = {
    {LNGD_ACTIVATION_IDENTITY, 0},   {LNGD_ACTIVATION_RELU, 0},       {LNGD_ACTIVATION_LEAKY_RELU, 0.01},
    {LNGD_ACTIVATION_LEAKY_RELU, 0}, {LNGD_ACTIVATION_LEAKY_RELU, 1}, {LNGD_ACTIVATION_ELU, 1},
    {LNGD_ACTIVATION_ELU, 0.5},      {LNGD_ACTIVATION_TANH, 0},       {LNGD_ACTIVATION_SIGMOID, 0},
    {LNGD_ACTIVATION_SOFTPLUS, 0},   {LNGD_ACTIVATION_GELU, 0},       {LNGD_ACTIVATION_SWISH, 0}};

std::vector<float> arguments() {
  std::vector<float> s = {0.0f,  -0.0f,  1e-45f, -1e-45f, 1e-38f, -1e-38f, 1e-20f, -1e-20f, 1e-4f,   -1e-4f,
                          88.0f, -88.0f, 89.0f,  -89.0f,  104.0f, -104.0f, 1e4f,   -1e4f,   FLT_MAX, -FLT_MAX};
  for (float x = -20; x <= 20; x += 0.03125f) s.push_back(x);
  Random random(3);
  for (int i = 0; i < 2000; ++i) s.push_back(random.normal_float(3));
  return s;
}

} // namespace

TEST(activation_values_and_derivatives) {
  const std::vector<float> s = arguments();
  std::vector<float> value(s.size()), derivative(s.size());
  for (const Function& f : kFunctions) {
    const Scope scope("activation " + std::to_string(f.kind) + " parameter " + std::to_string(f.parameter));
    REQUIRE_OK(lngd_activation_apply(f.kind, f.parameter, static_cast<std::int64_t>(s.size()), s.data(), value.data(),
                                     derivative.data()));
    for (std::size_t i = 0; i < s.size(); ++i) {
      // The slope is a float inside the library.
      const double parameter = static_cast<float>(f.parameter);
      const double v = twin::activation(f.kind, parameter, s[i]);
      const double d = twin::activation_derivative(f.kind, parameter, s[i]);
      const Scope at("s = " + show(s[i]));
      // Values: 8 units in the last place for a handful of operations; below FLT_MIN * |s| a factor may have been
      // flushed to zero. GELU: Phi(s) = (1 + erf)/2 cancels in the left tail, so it is good to u, and s Phi(s) to u
      // |s|.
      const double size = std::fabs(static_cast<double>(s[i]));
      double tolerance = 8 * kEps * std::fabs(v) + FLT_MIN * std::max(1.0, std::min(size, 200.0));
      if (f.kind == LNGD_ACTIVATION_GELU && size < 20) tolerance += 2 * kEps * size;
      CHECK_NEAR(value[i], v, tolerance);
      // Derivatives are of order 1 and enter squared: 8 u absolute (1 - tanh^2 cancels). s N(s) of GELU and s
      // sigmoid(-s) of SWISH carry the error of exp for |s| where they matter, which is less than 16.
      CHECK_NEAR(derivative[i], d, 8 * kEps * std::max(1.0, std::min(size, 4.0)));
    }
  }
}

TEST(activation_outputs_may_be_null_or_alias) {
  const float s[3] = {-1, 0.5f, 2};
  float value[3], derivative[3], both[3] = {-1, 0.5f, 2};
  REQUIRE_OK(lngd_activation_apply(LNGD_ACTIVATION_TANH, 0, 3, s, value, nullptr));
  REQUIRE_OK(lngd_activation_apply(LNGD_ACTIVATION_TANH, 0, 3, s, nullptr, derivative));
  REQUIRE_OK(lngd_activation_apply(LNGD_ACTIVATION_TANH, 0, 3, both, both, nullptr));
  for (int i = 0; i < 3; ++i) {
    CHECK_NEAR(value[i], std::tanh(static_cast<double>(s[i])), 4 * kEps);
    CHECK_NEAR(derivative[i], 1 - std::pow(std::tanh(static_cast<double>(s[i])), 2), 8 * kEps);
    CHECK_EQ(both[i], value[i]);
  }
  REQUIRE_OK(lngd_activation_apply(LNGD_ACTIVATION_TANH, 0, 0, s, value, derivative));
}

TEST(activation_propagates_nan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Function& f : kFunctions) {
    const Scope scope("activation " + std::to_string(f.kind));
    float value = 0, derivative = 0;
    REQUIRE_OK(lngd_activation_apply(f.kind, f.parameter, 1, &nan, &value, &derivative));
    CHECK(std::isnan(value));
    // The derivative of the identity is 1 whatever s is, that of the piecewise linear ones a choice of two constants: a
    // NaN in s must still not pass for a number, except where nothing of s enters.
    if (f.kind != LNGD_ACTIVATION_IDENTITY) CHECK(std::isnan(derivative));
  }
}
