// SPDX-License-Identifier: Apache-2.0
// lngd_gpu_bench: what its files share. A benchmark makes its data on the device, launches a kernel of
// native/src/backend/cuda through its launcher, times it with events, compares a sample of the result with double
// precision, and writes one line of JSON. A failed call ends its case, not the program.
#ifndef LNGD_GPU_BENCH_HPP
#define LNGD_GPU_BENCH_HPP

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "layers/layers.hpp"

namespace bench {

// Throws Failed with the call's name and CUDA's reason.
void require(cudaError_t error, const char* what);
#define BENCH_CUDA(call) ::bench::require((call), #call)

struct Options {
  std::vector<std::string> layer_files;
  std::string out;      // JSON lines, added to those in the file; empty: standard output
  std::string kernel;   // only kernels whose name holds this
  std::string layer;    // only rows whose name holds this: a layer's, or "all"
  bool ceilings = true; // those of the card too
  double seconds = 150; // of all cases together; what does not fit is written as skipped
  int first = 0;        // cases before this one are left out: restart.py goes on behind one that broke the device
  bool smoke = false;   // one short run of each case, for the emulator, compute-sanitizer and ncu
};

struct Device {
  std::string name;
  int compute_capability = 0;
  int multiprocessors = 1;
  int64_t l2_bytes = 0;
};
Device device();

// Device memory, freed at the end of its life.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t count) : count_(count) {
    if (count > 0) BENCH_CUDA(cudaMalloc(reinterpret_cast<void**>(&data_), static_cast<size_t>(count) * sizeof(T)));
  }
  explicit Buffer(const std::vector<T>& values) : Buffer(static_cast<int64_t>(values.size())) {
    if (count_ > 0) BENCH_CUDA(cudaMemcpy(data_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
  }
  Buffer(Buffer&& other) noexcept : data_(other.data_), count_(other.count_) { other.data_ = nullptr; }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_) cudaFree(data_); // an error here has been seen by an earlier call
  }
  T* get() const { return data_; }
  int64_t count() const { return count_; }
  std::vector<T> read(int64_t first = 0, int64_t count = -1) const {
    std::vector<T> values(static_cast<size_t>(count < 0 ? count_ - first : count));
    if (!values.empty())
      BENCH_CUDA(cudaMemcpy(values.data(), data_ + first, values.size() * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  T* data_ = nullptr;
  int64_t count_ = 0;
};

// Microseconds of one launch: median, and the quartiles as a measure of the spread.
struct Timing {
  double median = 0, low = 0, high = 0;
  int runs = 0;
  bool graph = false; // replayed from a CUDA graph: no gaps between launches
};
// launch(slot, stream) for slot 0 .. slots - 1 in turn, each of them a copy of the data, so that caches do not hold it.
Timing measure(const Options& options, int slots, const std::function<void(int, cudaStream_t)>& launch);

// How many copies of `bytes` of data push each other out of the second-level cache (at most 64).
int slots_for(const Options& options, const Device& device, double bytes);

// Nothing can run on the device in this process any more.
struct DeviceLost {};
constexpr int kDeviceLost = 75; // the exit code that says so to restart.py

#if defined(SIMT_EMU)
void fault_from_environment(); // emulated/fault.cpp
#endif

// A line of results. `residual` is to be held against `bound`; NaN is never within it.
struct Row {
  std::string kernel, set, name, preset, precision;
  int count = 1; // layers of this shape in the set
  int64_t d = 0; // columns of Phi, of a row about one layer
  Timing timing;
  Work work;
  double residual = -1, bound = -1; // negative: not checked
  std::string note, error;
};

// Where rows go, and the clock of the budget.
class Report {
 public:
  explicit Report(const Options& options);
  ~Report();
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;
  void write(const Row& row);
  void ceiling(const std::string& name, const std::string& unit, double value, const std::string& note);
  void machine(const Device& device);
  // Runs a case; a failure becomes the row's error, and one that the device does not survive is thrown on as
  // DeviceLost. Skips it where the name is not asked for or the time is up. A line goes before it: where it hangs, that
  // tells which.
  void run(Row row, const std::function<void(Row&)>& body);
  int failures() const { return failures_; }

 private:
  void line(const std::string& text);
  const Options& options_;
  void* file_ = nullptr; // FILE*
  double started_;
  int failures_ = 0, next_ = 0;
};

// Splits [0, count) over the processors of the host, for references.
void parallel(int64_t count, const std::function<void(int64_t begin, int64_t end)>& body);

} // namespace bench
#endif
