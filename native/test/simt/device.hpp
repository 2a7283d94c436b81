// SPDX-License-Identifier: Apache-2.0
// The device that the emulator stands for, and what it knows of a kernel. Between device.cpp, functions.cpp,
// symbols.cpp.
#ifndef LNGD_SIMT_DEVICE_HPP
#define LNGD_SIMT_DEVICE_HPP

#include <cstddef>
#include <string>

#include "simt.hpp"

namespace simt {

// What every device is now: that of set_device, else that of LNGD_SIMT_DEVICE, else the default. nullptr where the
// environment names none; device_problem() then says what it names and what is allowed.
const Device* device_model();
const std::string& device_problem();

constexpr size_t kSharedWithoutOptIn = 48 * 1024; // static and dynamic together, on every device

// Forgets what was asked for each kernel: another device has modules of its own.
void forget_functions();

// Bytes of the __shared__ variables of a kernel, as nvcc counts them. False where the symbol table of the program or
// library that holds it cannot be read (a stripped file); symbols_problem() then says so.
bool static_shared_bytes(const void* kernel, size_t& bytes);
const std::string& symbols_problem();
// What the source calls it, or an address.
std::string function_name(const void* kernel);

} // namespace simt
#endif
