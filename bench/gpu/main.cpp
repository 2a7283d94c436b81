// SPDX-License-Identifier: Apache-2.0
// Times the CUDA kernels over layer sets; see bench/gpu/README.md.
//   lngd_gpu_bench [OPTION ...] LAYERS.csv ...
// --out FILE, --seconds S, --smoke; --kernel NAME_PART and --case NAME_PART choose cases, --no-ceilings, --from N leave
// some out.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

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
    else if (a == "--case")
      options.layer = value();
    else if (a == "--no-ceilings")
      options.ceilings = false;
    else if (a == "--seconds")
      options.seconds = std::atof(value().c_str());
    else if (a == "--from")
      options.first = std::atoi(value().c_str());
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
#if defined(SIMT_EMU)
  fault_from_environment();
#endif
  Report report(options);
  report.machine(device());
  if (options.ceilings) {
    Row row;
    row.kernel = "ceilings";
    row.set = row.preset = row.precision = "-";
    row.name = "all";
    report.run(row, [&](Row&) { measure_ceilings(options, report); });
  }
  // The time may run out, so the most important first: sets in the order given; then the kernels of a whole network,
  // one row each; then statistics, a row a layer, of full Phi first, which the targets are about.
  for (const std::string& file : options.layer_files) {
    const std::vector<Layer> layers = read_layers(file);
    for (const Preset& preset : kPresets) {
      const Set set{set_name(file), layers, preset};
      bench_factor_inverse(options, set, report);
      bench_precondition(options, set, report);
      bench_layer_rate(options, set, report);
      bench_apply_update(options, set, report);
      bench_running_average(options, set, report);
    }
    for (auto preset = std::rbegin(kPresets); preset != std::rend(kPresets); ++preset)
      bench_statistics(options, {set_name(file), layers, *preset}, report);
  }
  if (report.failures() > 0) std::fprintf(stderr, "%d cases failed\n", report.failures());
  return report.failures() > 0 ? 1 : 0;
}

} // namespace

int main(int count, char** arguments) {
  try {
    return run(parse(count, arguments));
  } catch (const DeviceLost&) {
    std::fprintf(stderr, "lngd_gpu_bench: the device is lost to this process\n");
    return kDeviceLost;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "lngd_gpu_bench: %s\n", e.what());
    return 2;
  }
}
