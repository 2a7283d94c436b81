// SPDX-License-Identifier: Apache-2.0
// The processor, the kernels chosen for it, and how many threads to use.
#ifndef LNGD_BACKEND_CPU_CPU_INFO_H
#define LNGD_BACKEND_CPU_CPU_INFO_H

#include <cstdint>

#include "lngd/lngd.h"

namespace lngd::cpu {

enum class Level { kPortable, kAvx2, kAvx512 };

const char* level_name(Level level);

// The best level of this processor, or the one that $LNGD_CPU names ("portable", "avx2", "avx512": for testing the
// others). False where that is no level or the processor lacks it.
bool choose_level(Level& level, char* reason, size_t reason_bytes);

// $LNGD_NUM_THREADS if it is a number in 1..1024, else the processors that this process may run on.
int32_t default_threads();

// Fills all of `out` but struct_size, available and reason. Loads OpenBLAS if it can.
void describe(lngd_backend_description& out);

} // namespace lngd::cpu
#endif
