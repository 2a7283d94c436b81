// SPDX-License-Identifier: Apache-2.0
//
// See device.hpp.
#include "device.hpp"

namespace conformance {
namespace {

const lngd::DeviceHooks* find_hooks() {
  if (device() == LNGD_DEVICE_CPU) return nullptr;
  std::string reason;
  const lngd::DeviceLibrary* library = lngd::load_device_library(device(), nullptr, reason);
  if (!library) fail(__FILE__, __LINE__, "the device's library: " + reason);
  return library ? library->hooks : nullptr;
}

} // namespace

OnDevice::OnDevice(lngd_optimizer* optimizer, std::vector<std::uint8_t>& storage, const lngd_tensor& view)
    : optimizer_(optimizer), host_(storage), host_view_(view) {
  REQUIRE_OK(lngd_device_allocate(optimizer, static_cast<std::int64_t>(storage.size()), &memory_));
  upload();
}

OnDevice::~OnDevice() { lngd_device_free(optimizer_, memory_); }

lngd_tensor OnDevice::view() const {
  lngd_tensor tensor = host_view_;
  const auto offset = static_cast<std::uint8_t*>(tensor.data) - host_.data();
  tensor.data = static_cast<std::uint8_t*>(memory_) + offset;
  tensor.device_type = device() == LNGD_DEVICE_CPU ? 1 : 2;
  return tensor;
}

const lngd_tensor* OnDevice::pointer() const {
  tensor_ = view();
  return &tensor_;
}

void OnDevice::upload() {
  REQUIRE_OK(lngd_device_copy(optimizer_, memory_, host_.data(), static_cast<std::int64_t>(host_.size())));
}

void OnDevice::download() {
  REQUIRE_OK(lngd_device_copy(optimizer_, host_.data(), memory_, static_cast<std::int64_t>(host_.size())));
}

const lngd::DeviceHooks& device_hooks() {
  const lngd::DeviceHooks* const hooks = find_hooks();
  if (!hooks) skip("for devices, not the CPU");
  return *hooks;
}

const lngd::DeviceHooks& emulator_hooks() {
  const lngd::DeviceHooks& hooks = device_hooks();
  if (!hooks.inject_fault) skip("for the emulator");
  return hooks;
}

void check_loaded_kernels() {
  const lngd::DeviceHooks* const hooks = find_hooks();
  if (hooks && hooks->late_kernel) CHECK_EQ(std::string(hooks->late_kernel()), std::string());
}

Schedule::Schedule(int order, unsigned seed) {
  const lngd::DeviceHooks* const hooks = find_hooks();
  if (hooks && hooks->schedule) hooks->schedule(order, seed);
}

Schedule::~Schedule() {
  const lngd::DeviceHooks* const hooks = find_hooks();
  if (hooks && hooks->schedule) hooks->schedule(0, 1);
}

Stream::Stream() : stream_(device_hooks().stream_create()) { REQUIRE(stream_ != nullptr); }

Stream::~Stream() { device_hooks().stream_destroy(stream_); }

void Stream::synchronize() const { CHECK_EQ(device_hooks().stream_synchronize(stream_), 0); }

} // namespace conformance
