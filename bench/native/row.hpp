// SPDX-License-Identifier: Apache-2.0
// What is benchmarked, and a line of results.
#ifndef LNGD_BENCH_NATIVE_ROW_HPP
#define LNGD_BENCH_NATIVE_ROW_HPP

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/blas.h"
#include "layers/layers.hpp"

namespace bench {

// One thing to be timed. `make` prepares data and returns the body; the body is run again and again.
struct Case {
  std::string kernel, set, name, preset;
  std::string by; // "lngd", or what the peer is
  int32_t threads = 1;
  Work work;
  bool part = false; // a peer that does less than the kernel
  struct Body {
    std::function<void()> run;
    std::function<double()> residual; // against double precision, after a run
    double bound = 0;                 // what the residual may be; its reason stands where it is set
    std::shared_ptr<void> data;       // kept alive
  };
  std::function<Body()> make;
};

struct Options {
  bool quick = false;
  std::vector<int32_t> threads;    // of the kernels, and of the peers beside them
  std::string kernel, set;         // only those whose name holds it
  std::string layers_folder, json; // json: a file, "-": standard output, "": a table
  double seconds = 0.4;            // of each case
};

struct Set {
  std::string name;
  std::vector<Layer> layers;
  Preset preset;
  std::string kernel = ""; // only this one; empty: all
};

// The kernels of kernels.def over a set (cases.cpp), and what others would do instead (peers.cpp).
void add_kernels(const lngd::Backend& backend, const Set& set, int32_t threads, std::vector<Case>& cases);
void add_peers(const lngd::cpu::Blas& blas, const Set& set, int32_t threads, std::vector<Case>& cases);
// Arithmetic and bytes that this machine reaches: GFLOP/s of a large sgemm, GB/s of a copy (bytes read and written).
struct Ceilings {
  double gflops, gbytes;
};
Ceilings measure_ceilings(const lngd::cpu::Blas& blas, int32_t threads, double seconds);
// Runs body(part, parts) on that many threads at once.
void on_threads(int32_t threads, const std::function<void(int32_t, int32_t)>& body);
// Returns when no thread of this process runs any more. OpenBLAS's threads spin for a tenth of a second after their
// last call: the case that comes next would have one processor less.
void wait_until_idle();
// What the machine gives at this moment. On a virtual machine two processors may for seconds be the two threads of one
// core, or lie so far apart that they share no cache (52 or 340 ns for a handoff, on one and the same machine): nothing
// in the guest tells, not even its stolen time, and two threads then take up to twice their time.
struct Machine {
  double processors; // sum of the threads' rates of arithmetic in registers, over the best of one thread so far
  double handoff_ns; // from a store to another processor's answer; 0: one thread
  bool good(int32_t threads) const; // beside the best of this run
};
Machine machine_now(int32_t threads);

} // namespace bench
#endif
