// SPDX-License-Identifier: Apache-2.0
// In the emulated benchmark only: LNGD_BENCH_FAULT=N makes the Nth launch end the context, as a kernel does that writes
// where it may not. For the test that the cases behind it are measured all the same.
#include "../bench.hpp"

#include <cstdlib>

#include "simt.hpp"

namespace bench {

void fault_from_environment() {
  if (const char* const nth = std::getenv("LNGD_BENCH_FAULT"))
    simt::inject_fault("launch", std::atoi(nth), cudaErrorIllegalAddress);
}

} // namespace bench
