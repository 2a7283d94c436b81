// SPDX-License-Identifier: Apache-2.0
// The one exception of the library. It is thrown by validation and planning, never by a kernel, and turned into a
// status and a thread-local message at the ABI (abi/guard.h): nothing is thrown across it.
#ifndef LNGD_OPTIMIZER_ERROR_H
#define LNGD_OPTIMIZER_ERROR_H

#include <sstream>
#include <string>

#include "lngd/lngd.h"

namespace lngd {

struct Error {
  lngd_status status;
  std::string message;
};

// fail(LNGD_INVALID_ARGUMENT, "rho is ", 2.0, ", allowed is [0, 1)")
template <typename... Parts>
[[noreturn]] void fail(lngd_status status, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Error{status, text.str()};
}

template <typename... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) fail(LNGD_INVALID_ARGUMENT, parts...);
}

} // namespace lngd
#endif
