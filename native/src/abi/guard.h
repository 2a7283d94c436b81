// SPDX-License-Identifier: Apache-2.0
// The border: nothing is thrown past it, every failure becomes a status and a thread-local message.
#ifndef LNGD_ABI_GUARD_H
#define LNGD_ABI_GUARD_H

#include <exception>
#include <new>

#include "lngd/lngd.h"
#include "optimizer/error.h"

namespace lngd::abi {

// Stores the message for lngd_last_error and returns the status. Never throws.
lngd_status report(lngd_status status, const char* message) noexcept;

template <typename Body>
lngd_status guard(Body&& body) noexcept {
  try {
    body();
    return LNGD_OK;
  } catch (const Error& error) {
    return report(error.status, error.message.c_str());
  } catch (const std::bad_alloc&) {
    return report(LNGD_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return report(LNGD_INTERNAL, error.what());
  } catch (...) {
    return report(LNGD_INTERNAL, "unknown exception");
  }
}

template <typename T>
void require_pointer(const T* pointer, const char* name) {
  require(pointer != nullptr, name, " is NULL, allowed is a valid address");
}

// For structures that carry their size.
template <typename T>
void require_struct(const T* out, const char* name) {
  require_pointer(out, name);
  require(out->struct_size == sizeof(T), name, "->struct_size is ", out->struct_size, ", allowed is ", sizeof(T));
}

} // namespace lngd::abi
#endif
