// SPDX-License-Identifier: Apache-2.0
// lngd_step_bench: whole optimizer steps through lngd.h, as a framework takes them: device tensors, observe where
// lngd_needs asks, one lngd_step for all layers, nothing waited for. What lngd_gpu_bench sums up kernel by kernel is
// seen here as one number, with the host's part and with what the side stream hides.
//   lngd_step_bench [--device cuda|emulated] [--out FILE] [--seconds S] [--from N] [--smoke] [--kfac] LAYERS.csv ...
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

#include "layers/layers.hpp"
#include "numbers.cuh"
#include "step.hpp"

namespace {

using namespace bench;
using Clock = std::chrono::steady_clock;

struct Arguments {
  std::vector<std::string> files;
  std::string out;
  int32_t device = LNGD_DEVICE_CUDA;
  double seconds = 30;
  int first = 0; // cases before this one are left out: restart.py goes on behind one that failed
  bool smoke = false;
  bool kfac = false; // in the place of LNGD
};

Arguments parse(int count, char** arguments) {
  Arguments a;
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    const auto value = [&] {
      if (++i == count) throw Failed(word + " wants a value");
      return std::string(arguments[i]);
    };
    if (word == "--out")
      a.out = value();
    else if (word == "--seconds")
      a.seconds = std::atof(value().c_str());
    else if (word == "--from")
      a.first = std::atoi(value().c_str());
    else if (word == "--smoke")
      a.smoke = true;
    else if (word == "--kfac")
      a.kfac = true;
    else if (word == "--device") {
      const std::string device = value();
      if (device != "cuda" && device != "emulated")
        throw Failed("--device is " + device + ", allowed is cuda, emulated");
      a.device = device == "cuda" ? LNGD_DEVICE_CUDA : LNGD_DEVICE_CUDA_EMULATED;
    } else if (word[0] == '-')
      throw Failed("unknown option " + word);
    else
      a.files.push_back(word);
  }
  if (a.files.empty()) throw Failed("which layers? give CSV files of bench/layers");
  return a;
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Measured {
  double us = 0, low = 0, high = 0, host_us = 0;
  int cycles = 0;
};

// A cycle holds every interval once: T_INV steps. Times are means over a cycle, their median over the cycles.
Measured measure(Training& training, int64_t cycle, double seconds, bool smoke) {
  const auto start = Clock::now();
  for (int64_t i = 0; i < (smoke ? 3 : cycle); ++i) training.step();
  training.synchronize();
  std::vector<double> us, host;
  const int64_t steps = smoke ? 2 : cycle;
  while (us.size() < 3 || (us.size() < 15 && seconds_since(start) < seconds)) {
    const auto begin = Clock::now();
    for (int64_t i = 0; i < steps; ++i) training.step();
    host.push_back(1e6 * seconds_since(begin) / static_cast<double>(steps));
    training.synchronize();
    us.push_back(1e6 * seconds_since(begin) / static_cast<double>(steps));
    if (smoke) break;
  }
  std::sort(us.begin(), us.end());
  std::sort(host.begin(), host.end());
  const size_t n = us.size();
  return {us[n / 2], us[n / 4], us[3 * n / 4], host[n / 2], static_cast<int>(n)};
}

std::string json(double x) {
  if (!std::isfinite(x)) return "null";
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", x);
  return text;
}

// As lngd_gpu_bench writes its rows, without the closing brace.
std::string begin_row(const std::string& set, const Preset& preset, bool overlap, const char* suite = "step") {
  return std::string("{\"suite\":\"") + suite + "\",\"kernel\":\"whole_step\",\"set\":\"" + set + "\",\"case\":\"" +
         (overlap ? "side stream" : "one stream") + "\",\"preset\":\"" + preset.name + "\"";
}

std::string failed_row(const std::string& set, const Preset& preset, bool overlap, std::string why) {
  for (char& c : why)
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 32) c = ' '; // it stands between quotes
  return begin_row(set, preset, overlap) + ",\"error\":\"" + why + "\"}";
}

// A step that does not hold is no result.
std::string row(const std::string& set, const Preset& preset, bool overlap, const Measured& m, double residual) {
  return begin_row(set, preset, overlap) + ",\"us\":" + json(m.us) + ",\"us_low\":" + json(m.low) +
         ",\"us_high\":" + json(m.high) + ",\"host_us\":" + json(m.host_us) +
         ",\"cycles\":" + std::to_string(m.cycles) + ",\"residual\":" + json(residual) +
         ",\"bound\":" + json(kStepBound) + ",\"correct\":" + (residual <= kStepBound ? "true" : "false") + "}";
}

int run(const Arguments& arguments) {
  std::ofstream file;
  if (!arguments.out.empty()) {
    file.open(arguments.out, std::ios::app); // other programs write there too
    if (!file) throw Failed("cannot write " + arguments.out);
  }
  std::ostream& out = arguments.out.empty() ? std::cout : file;
  const auto started = Clock::now();
  std::vector<Preset> presets(std::begin(kPresets), std::end(kPresets));
  if (arguments.kfac) presets = {kKfac};
  const double share = arguments.seconds / static_cast<double>(arguments.files.size() * 2 * presets.size());
  int failures = 0, next = 0;
  for (const std::string& path : arguments.files)
    for (const Preset& preset : presets)
      for (const bool overlap : {true, false}) {
        const std::string what = set_name(path) + " " + preset.name + (overlap ? " side stream" : " one stream");
        if (seconds_since(started) > arguments.seconds) {
          std::fprintf(stderr, "%-44s skipped: no time left\n", what.c_str());
          continue;
        }
        const int index = next++;
        if (index < arguments.first) continue;
        out << begin_row(set_name(path), preset, overlap, "begun") << ",\"index\":" << index << "}" << std::endl;
        try {
          Training training(read_layers(path), preset, arguments.device, overlap);
          training.step();
          const double residual = training.residual();
          const Measured m = measure(training, training.cycle(), share, arguments.smoke);
          training.check_health();
          out << row(set_name(path), preset, overlap, m, residual) << std::endl;
          std::fprintf(stderr, "%-44s %10.2f us a step, host %8.2f us, residual %.1e\n", what.c_str(), m.us, m.host_us,
                       residual);
          failures += residual <= kStepBound ? 0 : 1;
        } catch (const std::exception& e) {
          out << failed_row(set_name(path), preset, overlap, e.what()) << std::endl;
          std::fprintf(stderr, "%-44s FAILED: %s\n", what.c_str(), e.what());
          return kDeviceLost; // perhaps: restart.py goes on in another process
        }
      }
  return failures ? 1 : 0;
}

} // namespace

int main(int count, char** arguments) {
  try {
    return run(parse(count, arguments));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "lngd_step_bench: %s\n", e.what());
    return 2;
  }
}
