// SPDX-License-Identifier: Apache-2.0
// One function a kernel, each in a file of its name.
#ifndef LNGD_GPU_BENCH_CASES_HPP
#define LNGD_GPU_BENCH_CASES_HPP

#include "bench.hpp"
#include "layers/layers.hpp"

namespace bench {

// What a set of layers is run with.
struct Set {
  std::string name;
  std::vector<Layer> layers;
  Preset preset;
};

// The row of a kernel that runs over the whole set in one launch.
inline Row row_of(const char* kernel, const Set& set, const char* precision) {
  Row row;
  row.kernel = kernel;
  row.set = set.name;
  row.name = "all";
  row.preset = set.preset.name;
  row.precision = precision;
  return row;
}

void bench_statistics(const Options& options, const Set& set, Report& report);
void bench_running_average(const Options& options, const Set& set, Report& report);
void bench_factor_inverse(const Options& options, const Set& set, Report& report);
void bench_precondition(const Options& options, const Set& set, Report& report);
void bench_layer_rate(const Options& options, const Set& set, Report& report);
void bench_apply_update(const Options& options, const Set& set, Report& report);

} // namespace bench
#endif
