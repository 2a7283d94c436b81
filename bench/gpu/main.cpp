// SPDX-License-Identifier: Apache-2.0
// Times the CUDA kernels over layer sets; see bench/gpu/README.md.
//   lngd_gpu_bench [--out FILE] [--kernel NAME_PART] [--seconds S] [--smoke] LAYERS.csv ...
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cases.hpp"
#include "ceilings.hpp"

namespace {

using namespace bench;

Options parse(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string a = arguments[i];
    const auto value = [&] {
      if (++i == count) throw Failed(a + " wants a value");
      return std::string(arguments[i]);
    };
    if (a == "--out")
      options.out = value();
    else if (a == "--kernel")
      options.kernel = value();
    else if (a == "--seconds")
      options.seconds = std::atof(value().c_str());
    else if (a == "--smoke")
      options.smoke = true;
    else if (a[0] == '-')
      throw Failed("unknown option " + a);
    else
      options.layer_files.push_back(a);
  }
  if (options.layer_files.empty()) throw Failed("which layers? give CSV files of bench/layers");
  return options;
}

int run(const Options& options) {
  Report report(options);
  report.machine(device());
  if (options.kernel.empty()) measure_ceilings(options, report);
  // Sets in the order given, the most important first: the time may run out.
  for (const std::string& file : options.layer_files)
    for (const Preset& preset : kPresets) {
      const Set set{set_name(file), read_layers(file), preset};
      bench_factor_inverse(options, set, report);
      bench_precondition(options, set, report);
      bench_layer_rate(options, set, report);
      bench_apply_update(options, set, report);
      bench_running_average(options, set, report);
      bench_statistics(options, set, report);
    }
  if (report.failures() > 0) std::fprintf(stderr, "%d cases failed\n", report.failures());
  return report.failures() > 0 ? 1 : 0;
}

} // namespace

int main(int count, char** arguments) {
  try {
    return run(parse(count, arguments));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "lngd_gpu_bench: %s\n", e.what());
    return 2;
  }
}
