// SPDX-License-Identifier: Apache-2.0
// The proof that the emulator catches bugs: each kernel of planted_kernels.cuh is run with its bug and without. With
// it, the checking build must report the right kind and the tagged lines; without it, nothing may be reported. The fast
// build has fewer ways to see: what it must catch is in the table too. A bug that goes uncaught fails the test.
#include <cmath>
#include <fstream>
#include <functional>
#include <vector>

#include "harness.hpp"
#include "planted_kernels.cuh"
#include "simt.hpp"

namespace {

using namespace planted;
using simt::Kind;
using simt::Order;

constexpr int kFloats = 4096;

// Device memory of a run; in_floats and out_floats are exact, so that an overrun is one.
struct Buffers {
  float *in = nullptr, *out = nullptr;
  int* count = nullptr;
  int in_floats, out_floats;

  explicit Buffers(int floats = kFloats) : in_floats(floats), out_floats(floats) {
    std::vector<float> values(static_cast<size_t>(floats));
    for (int i = 0; i < floats; ++i) values[static_cast<size_t>(i)] = 0.5f + static_cast<float>(i * 37 % 101) / 101.0f;
    cudaMalloc(&in, values.size() * 4);
    cudaMalloc(&out, values.size() * 4);
    cudaMalloc(&count, 4);
    cudaMemcpy(in, values.data(), values.size() * 4, cudaMemcpyHostToDevice);
    cudaMemset(count, 0, 4);
  }
  ~Buffers() {
    simt::reset();
    cudaFree(in);
    cudaFree(out);
    cudaFree(count);
  }
  Data data(int n) const { return {in, out, n}; }
  std::vector<float> result(int floats) const {
    std::vector<float> values(static_cast<size_t>(floats));
    cudaMemcpy(values.data(), out, values.size() * 4, cudaMemcpyDeviceToHost);
    return values;
  }
};

// How the fast build notices it.
enum class Fast { No, Report, Nan };

struct Case {
  const char* tag;
  Kind kind;
  Fast fast;
  int lines; // tagged lines that a report must name
  int floats;
  std::function<void(const Buffers&, bool bug)> run;
};

template <class... P, class... A>
void go(bool bug, void (*wrong)(P...), void (*right)(P...), int blocks, size_t shared, A... args) {
  launch(bug ? wrong : right, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), shared, nullptr, args...);
}

#define PLANTED(kernel, blocks, shared, n) \
  [](const Buffers& b, bool bug) { go(bug, kernel<true>, kernel<false>, blocks, shared, b.data(n)); }

const float* some_host_memory() {
  static std::vector<float> host(kThreads, 1.0f);
  return host.data();
}

const Case kCases[] = {
    {"missing_barrier", Kind::Race, Fast::No, 2, kFloats, PLANTED(missing_barrier, 1, 0, 0)},
    {"missing_warp_barrier", Kind::Race, Fast::Nan, 2, kFloats, PLANTED(missing_warp_barrier, 1, kThreads * 4, 0)},
    {"shuffle_as_fence", Kind::Race, Fast::No, 2, kFloats, PLANTED(shuffle_as_fence, 1, kThreads * 4, 0)},
    {"stage_reuse", Kind::PendingCopy, Fast::Nan, 2, kFloats, PLANTED(stage_reuse, 1, 0, 5)},
    {"wrong_wait_group", Kind::PendingCopy, Fast::Nan, 2, kFloats, PLANTED(wrong_wait_group, 1, 0, 0)},
    {"tile_tail", Kind::Bounds, Fast::Report, 1, 1000, PLANTED(tile_tail, 8, 0, 1000)},
    {"static_overrun", Kind::Index, Fast::No, 1, kFloats, PLANTED(static_overrun, 1, 0, 0)},
    {"dynamic_overrun", Kind::Bounds, Fast::Report, 1, kFloats, PLANTED(dynamic_overrun, 1, kThreads * 4, 0)},
    {"barrier_after_return", Kind::Divergence, Fast::Report, 1, kFloats, PLANTED(barrier_after_return, 1, 0, 0)},
    {"divergent_barrier", Kind::Divergence, Fast::Report, 2, kFloats, PLANTED(divergent_barrier, 1, 0, 0)},
    {"divergent_shuffle", Kind::Divergence, Fast::Report, 1, kFloats, PLANTED(divergent_shuffle, 1, 0, 0)},
    {"branch_before_ldmatrix", Kind::Divergence, Fast::Report, 2, kFloats,
     PLANTED(branch_before_ldmatrix, 1, 2 * kThreads * 4, 0)},
    {"divergent_mma", Kind::Divergence, Fast::Report, 2, kFloats, PLANTED(divergent_mma, 1, 0, 0)},
    {"uninitialised_shared", Kind::Uninitialised, Fast::Nan, 1, kFloats,
     PLANTED(uninitialised_shared, 1, kThreads * 4, 0)},
    {"uninitialised_global", Kind::Uninitialised, Fast::Nan, 1, kFloats, PLANTED(uninitialised_global, 1, 0, 0)},
    {"misaligned_vector", Kind::Misaligned, Fast::No, 1, kFloats, PLANTED(misaligned_vector, 1, 0, 0)},
    {"misaligned_copy", Kind::Misaligned, Fast::Report, 1, kFloats, PLANTED(misaligned_copy, 1, 0, 0)},
    {"copy_overrun", Kind::Bounds, Fast::Report, 1, 1000, PLANTED(copy_overrun, 2, 0, 1000)},
    {"matrix_row_overrun", Kind::Bounds, Fast::Report, 1, kFloats, PLANTED(matrix_row_overrun, 1, kThreads * 4, 0)},
    {"block_race_write", Kind::BlockRace, Fast::No, 1, kFloats, PLANTED(block_race_write, 3, 0, 0)},
    {"block_race_read", Kind::BlockRace, Fast::Nan, 2, kFloats, PLANTED(block_race_read, 2, 0, 0)},
    {"lost_update", Kind::Race, Fast::No, 1, kFloats,
     [](const Buffers& b, bool bug) { go(bug, lost_update<true>, lost_update<false>, 2, 0, b.data(0), b.count); }},
    {"host_pointer", Kind::Bounds, Fast::No, 1, kFloats,
     [](const Buffers& b, bool bug) {
       go(bug, host_pointer<true>, host_pointer<false>, 1, 0, b.data(0), some_host_memory(), b.in);
     }},
};

// "planted_kernels.cuh:LINE" of the lines with this tag.
std::vector<std::string> tagged_lines(const std::string& tag) {
  std::ifstream source(SIMT_PLANTED_KERNELS); // not beside __FILE__, which a compiler cache may have made relative
  std::vector<std::string> found;
  std::string line;
  for (int number = 1; std::getline(source, line); ++number)
    if (line.find("// [" + tag + "]") != std::string::npos)
      found.push_back("planted_kernels.cuh:" + std::to_string(number));
  return found;
}

struct Schedule {
  Order order;
  unsigned seed;
};
const Schedule kSchedules[] = {{Order::Forward, 1}, {Order::Reverse, 1}, {Order::Random, 1}, {Order::Random, 2}};

struct Outcome {
  std::vector<simt::Report> reports;
  bool nan = false;
};

Outcome run(const Case& c, bool bug, const Schedule& schedule) {
  simt::set_schedule(schedule.order, schedule.seed);
  const Buffers buffers(c.floats);
  c.run(buffers, bug);
  cudaDeviceSynchronize();
  Outcome outcome;
  outcome.reports = simt::take_reports();
  if (!outcome.reports.empty()) return outcome;
  // The first kThreads results are written by every healthy kernel.
  for (const float x : buffers.result(kThreads)) outcome.nan |= std::isnan(x);
  if (std::string(c.tag) == "block_race_read")
    for (const float x : buffers.result(2 * kThreads)) outcome.nan |= std::isnan(x);
  return outcome;
}

bool names(const simt::Report& report, Kind kind, const std::vector<std::string>& lines) {
  if (report.kind != kind) return false;
  for (const std::string& line : lines)
    if (report.text.find(line) == std::string::npos) return false;
  return true;
}

} // namespace

TEST(planted_bugs_are_caught) {
  simt::catch_guard_pages();
  for (const Case& c : kCases) {
    const conformance::Scope scope(std::string("planting ") + c.tag);
    const std::vector<std::string> lines = tagged_lines(c.tag);
    CHECK_EQ(static_cast<int>(lines.size()), c.lines);
    int caught = 0, exact = 0, nan = 0;
    std::string last;
    for (const Schedule& schedule : kSchedules) {
      const Outcome outcome = run(c, true, schedule);
      nan += outcome.nan;
      caught += !outcome.reports.empty();
      if (outcome.reports.empty()) continue;
      exact += names(outcome.reports[0], c.kind, lines);
      last = outcome.reports[0].text;
    }
    const conformance::Scope seen("the last report was: " + last);
    if (simt::checking()) {
      CHECK_EQ(caught, 4); // in every schedule, if only as a read of what was not written yet
      CHECK_GE(exact, 1);
    } else if (c.fast == Fast::Report) {
      CHECK_EQ(caught, 4);
      CHECK_GE(exact, 1);
    } else if (c.fast == Fast::Nan) {
      CHECK_GE(nan, 1);
    }
  }
  simt::set_schedule(Order::Forward);
}

TEST(healthy_twins_are_silent) {
  for (const Case& c : kCases)
    for (const Schedule& schedule : kSchedules) {
      const conformance::Scope scope(std::string("the healthy twin of ") + c.tag);
      const Outcome outcome = run(c, false, schedule);
      const conformance::Scope seen(outcome.reports.empty() ? "silent" : outcome.reports[0].text);
      CHECK_EQ(outcome.reports.size(), size_t{0});
      CHECK(!outcome.nan || std::string(c.tag) == "lost_update"); // which writes no floats
    }
  simt::set_schedule(Order::Forward);
}

TEST(a_wrong_mma_fragment_gives_wrong_numbers) {
  for (const bool bug : {false, true}) {
    const Buffers buffers;
    launch(bug ? wrong_fragment<true> : wrong_fragment<false>, dim3(1), dim3(32), 0, nullptr, buffers.data(0));
    std::vector<float> in(16 * 8 + 8 * 8);
    cudaMemcpy(in.data(), buffers.in, in.size() * 4, cudaMemcpyDeviceToHost);
    const std::vector<float> out = buffers.result(16 * 8);
    double worst = 0;
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 8; ++j) {
        double sum = 0;
        for (int k = 0; k < 8; ++k)
          sum += static_cast<double>(in[static_cast<size_t>(i * 8 + k)]) * in[static_cast<size_t>(128 + k * 8 + j)];
        worst = std::max(worst, std::fabs(sum - out[static_cast<size_t>(i * 8 + j)]));
      }
    if (bug) {
      CHECK_GT(worst, 0.1);
    } else {
      CHECK_WITHIN(worst, 0.02); // 8 products of numbers below 2, each rounded by 2^-11 twice
    }
  }
}
