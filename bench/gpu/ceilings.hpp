// SPDX-License-Identifier: Apache-2.0
#ifndef LNGD_GPU_BENCH_CEILINGS_HPP
#define LNGD_GPU_BENCH_CEILINGS_HPP

#include "bench.hpp"

namespace bench {

void measure_ceilings(const Options& options, Report& report);

} // namespace bench
#endif
