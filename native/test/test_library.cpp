// SPDX-License-Identifier: Apache-2.0
//
// Backend information, the instruction set forced by LNGD_CPU, loading of OpenBLAS, and the binary layout of the ABI.
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "fixture.hpp"

using namespace conformance;

// lngd_tensor must have the layout of DLPack's DLTensor (dlpack.h, 64 bit): data, device {type, id}, ndim, dtype {code,
// bits, lanes}, shape, strides, byte_offset.
static_assert(sizeof(void*) == 8, "64 bit only");
static_assert(offsetof(lngd_tensor, data) == 0, "DLTensor.data");
static_assert(offsetof(lngd_tensor, device_type) == 8, "DLTensor.device.device_type");
static_assert(offsetof(lngd_tensor, device_id) == 12, "DLTensor.device.device_id");
static_assert(offsetof(lngd_tensor, ndim) == 16, "DLTensor.ndim");
static_assert(offsetof(lngd_tensor, dtype_code) == 20, "DLTensor.dtype.code");
static_assert(offsetof(lngd_tensor, dtype_bits) == 21, "DLTensor.dtype.bits");
static_assert(offsetof(lngd_tensor, dtype_lanes) == 22, "DLTensor.dtype.lanes");
static_assert(offsetof(lngd_tensor, shape) == 24, "DLTensor.shape");
static_assert(offsetof(lngd_tensor, strides) == 32, "DLTensor.strides");
static_assert(offsetof(lngd_tensor, byte_offset) == 40, "DLTensor.byte_offset");
static_assert(sizeof(lngd_tensor) == 48, "sizeof(DLTensor)");
// Enumerations cross the border as int32_t.
static_assert(sizeof(lngd_status) == 4 && sizeof(lngd_setting) == 4 && sizeof(lngd_field) == 4, "enum size");
// Structures without holes, so that they may be hashed and compared as bytes, and bindings in other languages see no
// surprise.
static_assert(sizeof(lngd_binding) == 8 + 4 * sizeof(lngd_tensor), "lngd_binding");
static_assert(sizeof(lngd_samples) == 2 * sizeof(lngd_tensor), "lngd_samples");
static_assert(sizeof(lngd_health) == 4 * 4 + 7 * 8 + 9 * 8, "lngd_health");
static_assert(sizeof(lngd_memory) == 2 * 4 + 6 * 8, "lngd_memory");
static_assert(sizeof(lngd_times) == 2 * 4 + 5 * 8, "lngd_times");
static_assert(offsetof(lngd_config, struct_size) == 0 && offsetof(lngd_layer_config, struct_size) == 0 &&
                  offsetof(lngd_health, struct_size) == 0 && offsetof(lngd_backend_description, struct_size) == 0,
              "the size comes first, so that a later library can tell versions apart");

TEST(library_cpu_backend_is_available) {
  require_cpu_backend();
  lngd_backend_description info{};
  info.struct_size = sizeof info;
  REQUIRE_OK(lngd_backend_info(LNGD_DEVICE_CPU, &info));
  if (!info.available) fail(__FILE__, __LINE__, std::string("CPU backend: ") + info.reason);
  CHECK_EQ(std::string(info.reason), std::string());
  CHECK_NE(std::string(info.blas), std::string());
  CHECK_NE(std::string(info.blas_core), std::string());
  CHECK_NE(std::string(info.blas_path), std::string());
  CHECK_GE(info.default_threads, 1);
  const std::string set = info.instruction_set;
  CHECK(set == "avx512" || set == "avx2" || set == "portable");
}

// ctest runs the suite once for each level; this says that it was that level.
TEST(library_instruction_set_can_be_forced) {
  const char* forced = std::getenv("LNGD_CPU");
  if (!forced || !*forced) skip("LNGD_CPU is not set");
  lngd_backend_description info{};
  info.struct_size = sizeof info;
  REQUIRE_OK(lngd_backend_info(LNGD_DEVICE_CPU, &info));
  CHECK_EQ(std::string(info.instruction_set), std::string(forced));
}

TEST(library_cuda_backend_tells_why_not) {
  lngd_backend_description info{};
  info.struct_size = sizeof info;
  REQUIRE_OK(lngd_backend_info(LNGD_DEVICE_CUDA, &info));
  if (info.available) skip("there is a CUDA backend");
  CHECK_NE(std::strlen(info.reason), std::size_t{0});
  lngd_config config = preset(LNGD_PRESET_RECIPE);
  config.device = LNGD_DEVICE_CUDA;
  const lngd_layer_config layer = dense(2, 2);
  lngd_optimizer* optimizer = nullptr;
  CHECK_EQ(lngd_create(&config, &layer, 1, &optimizer), LNGD_BACKEND_UNAVAILABLE);
  CHECK(optimizer == nullptr);
}

// The first success wins: a later path, wrong or not, changes nothing.
TEST(library_blas_is_loaded_once) {
  require_cpu_backend();
  CHECK_OK(lngd_load_blas(nullptr));
  CHECK_OK(lngd_load_blas("/nonexistent/libopenblas.so"));
  CHECK_OK(lngd_load_blas(nullptr));
}
