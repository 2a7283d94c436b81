// SPDX-License-Identifier: Apache-2.0
// Time, JSON and errors.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <thread>

#include "bench.hpp"

namespace bench {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return out + '"';
}

// NaN and infinities are no JSON; they matter here, so they become strings.
std::string number(double x) {
  if (std::isnan(x)) return "\"nan\"";
  if (std::isinf(x)) return "\"inf\"";
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", x);
  return text;
}

std::string key(const Row& r) {
  return "\"kernel\":" + quoted(r.kernel) + ",\"set\":" + quoted(r.set) + ",\"case\":" + quoted(r.name) +
         ",\"preset\":" + quoted(r.preset) + ",\"precision\":" + quoted(r.precision);
}

class Stream {
 public:
  Stream() { BENCH_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)); }
  ~Stream() { cudaStreamDestroy(stream); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t stream = nullptr;
};

class Events {
 public:
  Events() {
    BENCH_CUDA(cudaEventCreate(&start));
    BENCH_CUDA(cudaEventCreate(&end));
  }
  ~Events() {
    cudaEventDestroy(start);
    cudaEventDestroy(end);
  }
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;
  cudaEvent_t start = nullptr, end = nullptr;
};

// Microseconds of the work that `issue` puts on the stream.
double timed(const Events& events, cudaStream_t stream, const std::function<void()>& issue) {
  BENCH_CUDA(cudaEventRecord(events.start, stream));
  issue();
  BENCH_CUDA(cudaEventRecord(events.end, stream));
  BENCH_CUDA(cudaEventSynchronize(events.end));
  float milliseconds = 0;
  BENCH_CUDA(cudaEventElapsedTime(&milliseconds, events.start, events.end));
  return 1e3 * static_cast<double>(milliseconds);
}

// The same launches, captured once and replayed: what is timed is the device, not the host's launch rate. The emulator
// has no graphs; a kernel that cannot be captured is issued launch by launch.
class Replay {
 public:
#if defined(SIMT_EMU)
  Replay(cudaStream_t, const std::function<void()>&) {}
  bool ready() const { return false; }
  void issue(cudaStream_t) const {}
#else
  Replay(cudaStream_t stream, const std::function<void()>& issue) {
    cudaGraph_t graph = nullptr;
    if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess) {
      try {
        issue();
      } catch (const Failed&) { // the capture is ended in any case
      }
      if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) {
        if (cudaGraphInstantiate(&executable_, graph, 0) != cudaSuccess) executable_ = nullptr;
        cudaGraphDestroy(graph);
      }
    }
    (void)cudaGetLastError(); // of a capture that was refused
  }
  ~Replay() {
    if (executable_) cudaGraphExecDestroy(executable_);
  }
  bool ready() const { return executable_ != nullptr; }
  void issue(cudaStream_t stream) const { BENCH_CUDA(cudaGraphLaunch(executable_, stream)); }

 private:
  cudaGraphExec_t executable_ = nullptr;

 public:
#endif
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;
};

} // namespace

void require(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw Failed(std::string(what) + ": " + cudaGetErrorName(error) + ", " + cudaGetErrorString(error));
}

Device device() {
  cudaDeviceProp properties{};
  BENCH_CUDA(cudaGetDeviceProperties(&properties, 0));
  Device d;
  d.name = properties.name;
  d.compute_capability = 10 * properties.major + properties.minor;
  d.multiprocessors = properties.multiProcessorCount;
#if !defined(SIMT_EMU)
  d.l2_bytes = properties.l2CacheSize;
#endif
  return d;
}

int slots_for(const Options& options, const Device& device, double bytes) {
  if (options.smoke) return 2;
  const double wanted = std::ceil(2 * static_cast<double>(device.l2_bytes) / std::max(1.0, bytes));
  return static_cast<int>(std::min(64.0, std::max(1.0, wanted)));
}

Timing measure(const Options& options, int slots, const std::function<void(int, cudaStream_t)>& launch) {
  const Stream own;
  const Events events;
  const auto issue = [&](int count) {
    for (int i = 0; i < count; ++i) launch(i % slots, own.stream);
  };
  BENCH_CUDA(cudaDeviceSynchronize()); // what prepared the data
  issue(slots);                        // warm-up: modules are loaded, every copy has been used
  BENCH_CUDA(cudaStreamSynchronize(own.stream));
  Timing timing;
  // About half a millisecond a measurement, so that the events' resolution of half a microsecond does not matter; the
  // whole number of rounds over the copies treats them alike.
  const double once = std::max(0.5, timed(events, own.stream, [&] { issue(slots); }) / slots);
  const int rounds =
      options.smoke ? 1 : static_cast<int>(std::max(1.0, std::min(500.0, std::ceil(500 / (once * slots)))));
  const int batch = rounds * slots;
  const Replay replay(own.stream, [&] { issue(batch); });
  const auto run = [&] {
    if (replay.ready())
      replay.issue(own.stream);
    else
      issue(batch);
  };
  timing.graph = replay.ready();
  timing.runs = options.smoke ? 1 : static_cast<int>(std::max(7.0, std::min(40.0, 150e3 / (once * batch))));
  run();
  BENCH_CUDA(cudaStreamSynchronize(own.stream));
  std::vector<double> times;
  for (int i = 0; i < timing.runs; ++i) times.push_back(timed(events, own.stream, run) / batch);
  std::sort(times.begin(), times.end());
  timing.low = times[times.size() / 4];
  timing.median = times[times.size() / 2];
  timing.high = times[times.size() * 3 / 4];
  return timing;
}

Report::Report(const Options& options) : options_(options), started_(now()) {
  if (options.out.empty()) return;
  file_ = std::fopen(options.out.c_str(), "a");
  if (!file_) throw Failed("cannot write " + options.out);
}

Report::~Report() {
  if (file_) std::fclose(static_cast<FILE*>(file_));
}

// Flushed each time: a run that is cut off keeps what it has.
void Report::line(const std::string& text) {
  FILE* const file = file_ ? static_cast<FILE*>(file_) : stdout;
  std::fprintf(file, "%s\n", text.c_str());
  std::fflush(file);
}

void Report::machine(const Device& d) {
  line("{\"suite\":\"machine\",\"device\":" + quoted(d.name) + ",\"sm\":" + std::to_string(d.compute_capability) +
       ",\"multiprocessors\":" + std::to_string(d.multiprocessors) + ",\"l2_bytes\":" + std::to_string(d.l2_bytes) +
       "}");
}

void Report::ceiling(const std::string& name, const std::string& unit, double value, const std::string& note) {
  line("{\"suite\":\"ceiling\",\"name\":" + quoted(name) + ",\"unit\":" + quoted(unit) + ",\"value\":" + number(value) +
       ",\"note\":" + quoted(note) + "}");
  std::fprintf(stderr, "%-44s %10.4g %s\n", name.c_str(), value, unit.c_str());
}

void Report::write(const Row& r) {
  std::string text =
      "{\"suite\":\"lngd\"," + key(r) + ",\"count\":" + std::to_string(r.count) + ",\"d\":" + std::to_string(r.d);
  if (r.timing.runs > 0)
    text += ",\"us\":" + number(r.timing.median) + ",\"us_low\":" + number(r.timing.low) +
            ",\"us_high\":" + number(r.timing.high) + ",\"runs\":" + std::to_string(r.timing.runs) +
            ",\"graph\":" + (r.timing.graph ? "true" : "false");
  text += ",\"operations\":" + number(r.work.operations) + ",\"tensor_operations\":" + number(r.work.tensor) +
          ",\"fp32_operations\":" + number(r.work.fp32) + ",\"bytes\":" + number(r.work.bytes);
  if (r.bound >= 0)
    text += ",\"residual\":" + number(r.residual) + ",\"bound\":" + number(r.bound) +
            ",\"correct\":" + (r.residual <= r.bound ? "true" : "false");
  if (!r.note.empty()) text += ",\"note\":" + quoted(r.note);
  if (!r.error.empty()) text += ",\"error\":" + quoted(r.error);
  line(text + "}");
  std::fprintf(stderr, "%-18s %-18s %-24s %-8s %-7s %10.2f us  %s%s\n", r.kernel.c_str(), r.set.c_str(), r.name.c_str(),
               r.preset.c_str(), r.precision.c_str(), r.timing.median,
               r.bound < 0 ? "" : (r.residual <= r.bound ? "ok " : "WRONG "), r.error.c_str());
}

void Report::run(Row row, const std::function<void(Row&)>& body) {
  if (row.kernel.find(options_.kernel) == std::string::npos || row.name.find(options_.layer) == std::string::npos)
    return;
  const int index = next_++;
  if (index < options_.first) return;
  if (now() - started_ > options_.seconds) {
    row.note = "skipped: the time for all cases was used up";
    write(row);
    return;
  }
  line("{\"suite\":\"begun\",\"index\":" + std::to_string(index) + "," + key(row) + "}");
  try {
    body(row);
  } catch (const std::exception& e) {
    row.error = e.what();
  }
  // A wrong result is a failure too: its time means nothing.
  if (!row.error.empty() || (row.bound >= 0 && !(row.residual <= row.bound))) ++failures_;
  write(row);
  if (!row.error.empty() && cudaDeviceSynchronize() != cudaSuccess) throw DeviceLost();
}

void parallel(int64_t count, const std::function<void(int64_t, int64_t)>& body) {
  const int64_t threads = std::max<int64_t>(1, std::min<int64_t>(std::thread::hardware_concurrency(), count / 1024));
  std::vector<std::thread> pool;
  for (int64_t t = 1; t < threads; ++t)
    pool.emplace_back([&, t] { body(t * count / threads, (t + 1) * count / threads); });
  body(0, count / threads);
  for (std::thread& thread : pool) thread.join();
}

} // namespace bench
