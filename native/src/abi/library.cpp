// SPDX-License-Identifier: Apache-2.0
// Entry points about the library itself: versions, errors, backends, presets, primitives without a handle.
#include <cstdio>
#include <cstring>

#include "abi/guard.h"
#include "backend/activation.h"
#include "backend/backend.h"
#include "backend/cpu/blas.h"
#include "backend/cpu/cpu_info.h"
#include "backend/device_library.h"
#include "optimizer/config.h"
#include "optimizer/optimizer.h"
#include "optimizer/random.h"
#include "optimizer/recommend.h"

#define LNGD_STRINGIFY_(x) #x
#define LNGD_STRINGIFY(x) LNGD_STRINGIFY_(x)

namespace lngd::abi {
namespace {
// A buffer of fixed size: reporting an error must not allocate.
thread_local char last_error[1024] = "";
} // namespace

lngd_status report(lngd_status status, const char* message) noexcept {
  std::snprintf(last_error, sizeof last_error, "%s", message);
  return status;
}

} // namespace lngd::abi

namespace {

void require_device(int32_t device) {
  lngd::require(device >= LNGD_DEVICE_CPU && device <= LNGD_DEVICE_CUDA_EMULATED, "device is ", device,
                ", allowed is LNGD_DEVICE_CPU (1), LNGD_DEVICE_CUDA (2) or LNGD_DEVICE_CUDA_EMULATED (3)");
}

void require_text(const char* reason, int32_t capacity) {
  lngd::require(capacity >= 0, "capacity is ", capacity, ", allowed is 0 or more");
  lngd::require(reason || capacity == 0, "reason is NULL and capacity ", capacity, ", allowed is 0 then");
}

} // namespace

using lngd::abi::guard;
using lngd::abi::require_pointer;
using lngd::abi::require_struct;

extern "C" {

const char* lngd_status_name(int32_t status) {
  static const char* const names[] = {
      "LNGD_OK",       "LNGD_INVALID_ARGUMENT", "LNGD_INVALID_HANDLE",      "LNGD_INVALID_STATE",
      "LNGD_BUSY",     "LNGD_OUT_OF_MEMORY",    "LNGD_BACKEND_UNAVAILABLE", "LNGD_BAD_STATE_DATA",
      "LNGD_INTERNAL", "LNGD_DEVICE_ERROR",     "LNGD_DEVICE_LOST"};
  return status >= 0 && status <= LNGD_DEVICE_LOST ? names[status] : "unknown status";
}

const char* lngd_last_error(void) { return lngd::abi::last_error; }

uint32_t lngd_version(void) { return (LNGD_VERSION_MAJOR << 16) | (LNGD_VERSION_MINOR << 8) | LNGD_VERSION_PATCH; }

const char* lngd_version_string(void) {
  return LNGD_STRINGIFY(LNGD_VERSION_MAJOR) "." LNGD_STRINGIFY(LNGD_VERSION_MINOR) "." LNGD_STRINGIFY(
      LNGD_VERSION_PATCH);
}

lngd_status lngd_load_blas(const char* path) {
  return guard([&] {
    std::string reason;
    if (!lngd::cpu::load_blas(path, reason))
      lngd::fail(LNGD_BACKEND_UNAVAILABLE, "OpenBLAS could not be loaded: ", reason);
  });
}

lngd_status lngd_load_backend(int32_t device, const char* path) {
  return guard([&] {
    require_device(device);
    std::string reason;
    if (device != LNGD_DEVICE_CPU && !lngd::load_device_library(device, path, reason))
      lngd::fail(LNGD_BACKEND_UNAVAILABLE, "the library of the CUDA backend could not be loaded: ", reason);
  });
}

lngd_status lngd_backend_info(int32_t device, lngd_backend_description* out) {
  return guard([&] {
    require_struct(out, "out");
    require_device(device);
    std::memset(out, 0, sizeof *out);
    out->struct_size = sizeof *out;
    if (device != LNGD_DEVICE_CPU) return lngd::describe_device(device, *out);
    lngd::cpu::describe(*out);
    out->available = lngd::cpu_backend(out->reason, sizeof out->reason) != nullptr;
  });
}

lngd_status lngd_choose_device(const lngd_config* config, int32_t* device, char* reason, int32_t capacity) {
  return guard([&] {
    require_pointer(config, "config");
    require_pointer(device, "device");
    require_text(reason, capacity);
    lngd::validate(*config);
    std::string why;
    const int32_t chosen = lngd::choose_device(*config, why);
    *device = chosen;
    if (capacity > 0) std::snprintf(reason, static_cast<size_t>(capacity), "%s", why.c_str());
  });
}

lngd_status lngd_config_init(int32_t preset, int64_t total_steps, lngd_config* config) {
  return guard([&] {
    require_pointer(config, "config");
    *config = lngd::preset_config(preset, total_steps);
  });
}

lngd_status lngd_recommend(const lngd_layer_config* layers, int32_t count, int64_t total_steps, int64_t batch,
                           lngd_config* config, char* reason, int32_t capacity) {
  return guard([&] {
    require_pointer(layers, "layers");
    require_pointer(config, "config");
    require_text(reason, capacity);
    const lngd::Recommendation found = lngd::recommend(layers, count, total_steps, batch);
    *config = found.config;
    if (capacity > 0) std::snprintf(reason, static_cast<size_t>(capacity), "%s", found.reason.c_str());
  });
}

lngd_status lngd_layer_init(int64_t inputs, int64_t outputs, lngd_layer_config* layer) {
  return guard([&] {
    require_pointer(layer, "layer");
    *layer = lngd::default_layer(inputs, outputs);
  });
}

lngd_status lngd_embedding_init(int64_t inputs, int64_t outputs, lngd_layer_config* layer) {
  return guard([&] {
    require_pointer(layer, "layer");
    *layer = lngd::default_embedding(inputs, outputs);
  });
}

lngd_status lngd_parameter_init(int64_t elements, lngd_layer_config* out) {
  return guard([&] {
    require_pointer(out, "out");
    *out = lngd::default_parameter(elements);
  });
}

lngd_status lngd_conv_init(int32_t rank, int64_t inputs, int64_t outputs, const int32_t* kernel,
                           lngd_layer_config* layer) {
  return guard([&] {
    require_pointer(layer, "layer");
    require_pointer(kernel, "kernel");
    *layer = lngd::default_convolution(rank, inputs, outputs, kernel);
  });
}

lngd_status lngd_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  return guard([&] {
    require_pointer(counter, "counter");
    require_pointer(key, "key");
    require_pointer(out, "out");
    const lngd::PhiloxWords words =
        lngd::philox4x32_10({{counter[0], counter[1], counter[2], counter[3]}}, key[0], key[1]);
    std::memcpy(out, words.w, sizeof words.w);
  });
}

lngd_status lngd_activation_apply(int32_t activation, double parameter, int64_t n, const float* s, float* value,
                                  float* derivative) {
  return guard([&] {
    lngd::require(activation >= 0 && activation <= LNGD_ACTIVATION_SWISH, "activation is ", activation,
                  ", allowed is 0 to 8");
    lngd::require(n >= 0, "n is ", n, ", allowed is 0 or more");
    lngd_layer_config layer = lngd::default_layer(1, 1);
    layer.activation = activation;
    layer.activation_parameter = parameter;
    lngd::validate(lngd::preset_config(LNGD_PRESET_PAPER, 0), layer, 0);
    if (n == 0) return;
    require_pointer(s, "s");
    const float p = static_cast<float>(parameter);
    for (int64_t i = 0; i < n; ++i) {
      const float x = s[i]; // read first: the arrays may be the same
      if (value) value[i] = lngd::activation_value(activation, p, x);
      if (derivative) derivative[i] = lngd::activation_derivative(activation, p, x);
    }
  });
}

} // extern "C"
