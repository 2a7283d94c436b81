// SPDX-License-Identifier: Apache-2.0
// lngd_bench: the CPU kernels and their peers, timed by Google Benchmark; see README.md.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "report.hpp"
#include "row.hpp"

namespace {

using namespace bench;

constexpr const char* kUsage =
    "lngd_bench [--quick] [--threads 1,2] [--kernel NAME_PART] [--set NAME_PART] [--seconds S] [--json FILE] --layers "
    "FOLDER";

Options parse(int count, char** arguments) {
  Options o;
  for (int i = 1; i < count; ++i) {
    const std::string a = arguments[i];
    const auto value = [&] {
      if (++i == count) throw Failed(a + " wants a value");
      return std::string(arguments[i]);
    };
    if (a == "--quick")
      o.quick = true;
    else if (a == "--threads") {
      std::string list = value();
      for (char* at = list.data(); *at;) {
        char* end = at;
        const long n = std::strtol(at, &end, 10);
        if (end == at || n < 1 || n > 1024) throw Failed("--threads is " + list + ", allowed is a list such as 1,2");
        o.threads.push_back(static_cast<int32_t>(n));
        at = *end == ',' ? end + 1 : end;
      }
    } else if (a == "--kernel")
      o.kernel = value();
    else if (a == "--set")
      o.set = value();
    else if (a == "--seconds") {
      const std::string text = value();
      char* end = nullptr;
      o.seconds = std::strtod(text.c_str(), &end);
      if (*end || !(o.seconds > 0 && o.seconds <= 60))
        throw Failed("--seconds is " + text + ", allowed is above 0, up to 60");
    } else if (a == "--json")
      o.json = value();
    else if (a == "--layers")
      o.layers_folder = value();
    else
      throw Failed("unknown option " + a + "; " + kUsage);
  }
  if (o.layers_folder.empty()) throw Failed(kUsage);
  if (o.threads.empty()) {
    o.threads.push_back(1);
    const int32_t all = static_cast<int32_t>(std::thread::hardware_concurrency());
    if (all > 1) o.threads.push_back(all);
  }
  if (o.quick) o.seconds = std::min(o.seconds, 0.1);
  return o;
}

Layer dense(const char* letter, int64_t number, int64_t d, int64_t m, int64_t batch) {
  Layer l;
  l.name = letter + std::to_string(number);
  l.inputs = d;
  l.outputs = m;
  l.batch = batch;
  l.activation = "relu";
  return l;
}

// layer_statistics over d at 2048 samples and over samples at d = 576, factor_inverse over n; full factors and blocks
// of 128, of all samples, unlike the default preset.
void add_sweeps(const Options& o, std::vector<Set>& sets) {
  const Preset full{"full", 0, 0, -1}, blocks{"blocks", 128, 0, -1};
  Set over_d{"sweep d", {}, full, "layer_statistics"};
  for (const int64_t d : {64, 128, 256, 576, 1152, 2304})
    if (!o.quick || d == 576) over_d.layers.push_back(dense("d", d, d, 256, 2048));
  sets.push_back(over_d);
  over_d.preset = blocks;
  sets.push_back(over_d);
  Set over_samples{"sweep N", {}, full, "layer_statistics"};
  for (const int64_t samples : {64, 256, 1024, 4096})
    over_samples.layers.push_back(dense("N", samples, 576, 256, samples));
  if (!o.quick) sets.push_back(over_samples);
  for (const int64_t n : {32, 64, 128, 256, 512, 1024, 2048})
    if (!o.quick || n == 128 || n == 512)
      sets.push_back({"sweep n" + std::to_string(n), {dense("n", n, n, 16, 64)}, full, "factor_inverse"});
}

// The sweeps, and the sets of bench/layers at a batch that a CPU trains with.
std::vector<Set> sets_of(const Options& o) {
  std::vector<Set> sets;
  add_sweeps(o, sets);
  for (const char* name : {"mlp", "lenet", "resnet18-cifar", "resnet50-imagenet", "transformer-big"})
    for (const Preset& preset : kPresets) {
      const bool residual18 = !std::strcmp(name, "resnet18-cifar");
      const bool large = !residual18 && std::strcmp(name, "mlp") && std::strcmp(name, "lenet");
      if (o.quick && (preset.block == 0 || residual18)) continue;
      // Made for GPUs: only where they are asked for, and by blocks (full factors are minutes a case).
      if (large && (o.set.empty() || preset.block == 0)) continue;
      Set set{name, read_layers(o.layers_folder + "/" + name + ".csv"), preset, ""};
      for (Layer& l : set.layers) l.batch = std::min<int64_t>(l.batch, l.conv ? 64 : 256);
      sets.push_back(set);
    }
  sets.erase(
      std::remove_if(sets.begin(), sets.end(), [&o](const Set& s) { return s.name.find(o.set) == std::string::npos; }),
      sets.end());
  return sets;
}

// Googles' reporter, which hands each run to ours and prints nothing itself.
class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs)
      if (run.run_type == Run::RT_Iteration && !run.error_occurred)
        times.push_back(run.GetAdjustedRealTime() * 1e-3); // nanoseconds asked for below
  }
  std::vector<double> times; // microseconds of the repetitions
};

// Google Benchmark finds the number of iterations and times them; a repetition is one sample of the median.
std::vector<double> sample(const Case::Body& body, int repetitions, double seconds) {
  benchmark::ClearRegisteredBenchmarks();
  benchmark::RegisterBenchmark("case",
                               [&body](benchmark::State& state) {
                                 for (auto _ : state) body.run();
                               })
      ->Unit(benchmark::kNanosecond)
      ->UseRealTime()
      ->MinTime(seconds / repetitions)
      ->Repetitions(repetitions);
  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector);
  if (collector.times.empty()) throw Failed("Google Benchmark ran nothing");
  std::sort(collector.times.begin(), collector.times.end());
  return collector.times;
}

// Looks until the machine gives what it has given before, for that many seconds at most, and for five minutes in all.
bool wait_for_machine(int32_t threads, double seconds) {
  static double budget = 300;
  constexpr auto kLook = std::chrono::milliseconds(200);
  for (double waited = 0;; waited += 0.2, budget -= 0.2) {
    if (machine_now(threads).good(threads)) return true;
    if (waited >= seconds || budget <= 0) return false;
    std::this_thread::sleep_for(kLook);
  }
}

Row measure(const Case& c, const Options& o) {
  Row row{};
  row.what = c;
  row.residual = -1;
  try {
    const Case::Body body = c.make();
    if (body.residual) {
      row.residual = body.residual();
      row.bound = body.bound;
    }
    wait_until_idle();
    const auto start = std::chrono::steady_clock::now();
    body.run();
    const double once = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    // A long run is a mean over much already: three to nine repetitions, two seconds of them at most beyond three.
    const int repetitions = o.quick ? 3 : static_cast<int>(std::clamp(2.0 / std::max(once, 1e-3), 3.0, 9.0));
    // Again where the machine was not at its best before or after; the last try stands, and says so.
    for (int tries = o.quick ? 1 : 3; tries > 0; --tries) {
      const bool before = wait_for_machine(c.threads, o.quick ? 0 : 15);
      const std::vector<double> t = sample(body, repetitions, o.seconds);
      row.machine = machine_now(c.threads);
      row.good = before && row.machine.good(c.threads);
      row.us = t[t.size() / 2];
      row.low = t[t.size() / 4];
      row.high = t[t.size() * 3 / 4];
      row.repetitions = static_cast<int>(t.size());
      if (row.good) break;
    }
  } catch (const std::exception& e) {
    row.error = e.what();
  }
  return row;
}

int run(const Options& o) {
  char reason[512];
  const lngd::Backend* const backend = lngd::cpu_backend(reason, sizeof reason);
  if (!backend) throw Failed(std::string("the CPU backend cannot be used: ") + reason);
  const lngd::cpu::Blas& blas = *lngd::cpu::blas();
  char name[] = "lngd_bench";
  char* argv[] = {name, nullptr};
  int argc = 1;
  benchmark::Initialize(&argc, argv);
  Report report(o, blas);
  for (const int32_t threads : o.threads) {
    report.ceilings(threads, measure_ceilings(blas, threads, o.quick ? 0.3 : 1.0));
    for (const Set& set : sets_of(o)) {
      std::vector<Case> cases;
      add_kernels(*backend, set, threads, cases);
      // A peer beside its kernel: what disturbs the machine disturbs both.
      std::vector<Case> peers;
      add_peers(blas, set, threads, peers);
      for (const Case& c : cases) {
        if (c.kernel.find(o.kernel) == std::string::npos) continue;
        if (!set.kernel.empty() && c.kernel != set.kernel) continue;
        report.add(measure(c, o));
        for (const Case& peer : peers)
          if (peer.kernel == c.kernel && peer.name == c.name) report.add(measure(peer, o));
      }
    }
  }
  return report.finish();
}

} // namespace

int main(int count, char** arguments) {
  try {
    return run(parse(count, arguments));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "lngd_bench: %s\n", e.what());
    return 2;
  }
}
