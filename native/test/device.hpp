// SPDX-License-Identifier: Apache-2.0
//
// Tensors in memory of the device under test, and what the runtime inside its library lets tests do.
#ifndef LNGD_TEST_DEVICE_HPP
#define LNGD_TEST_DEVICE_HPP

#include "backend/device_library.h"
#include "fixture.hpp"

namespace conformance {

// A copy of a tensor in memory of an optimizer's device: same layout, gaps and guard bytes included. The tensor must
// outlive it, the optimizer too.
class OnDevice {
 public:
  template <class AnyTensor>
  OnDevice(lngd_optimizer* optimizer, AnyTensor& host) : OnDevice(optimizer, host.storage(), host.view()) {}
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  lngd_tensor view() const;
  const lngd_tensor* pointer() const;
  // All bytes; both wait for the device.
  void upload();
  void download();

 private:
  OnDevice(lngd_optimizer* optimizer, std::vector<std::uint8_t>& storage, const lngd_tensor& view);

  lngd_optimizer* optimizer_;
  std::vector<std::uint8_t>& host_;
  lngd_tensor host_view_;
  void* memory_ = nullptr;
  mutable lngd_tensor tensor_;
};

// The hooks of the device under test; skips the test where it is the CPU.
const lngd::DeviceHooks& device_hooks();
// The same, and skips it where it is not the emulator.
const lngd::DeviceHooks& emulator_hooks();

// The emulator's order of work while this lives: 0 at once, 1 as late as the program allows, 2 by the seed. Nothing on
// other devices.
class Schedule {
 public:
  explicit Schedule(int order, unsigned seed = 1);
  ~Schedule();
};

// A stream of the device; skips the test where there are none.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  void* handle() const { return stream_; }
  void synchronize() const;

 private:
  void* stream_;
};

} // namespace conformance

#endif // LNGD_TEST_DEVICE_HPP
