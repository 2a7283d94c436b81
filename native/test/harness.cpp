// SPDX-License-Identifier: Apache-2.0
//
// The runner of the conformance suite: filters, runs, goes on after failures, prints a summary, exits 1 if anything
// failed.
#include "harness.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <vector>

namespace conformance {
namespace {

struct Test {
  const char* name;
  Body body;
  bool slow;
};

struct Skipped {
  std::string reason;
};

constexpr int kPrintedFailures = 12;

// Function-local statics: registrations of other files run before this file's globals would be constructed.
std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

std::mutex guard;
std::vector<std::string> scopes;
long checks = 0;
long failures = 0;
double closest = 0;
bool quick_run = false;
std::string device;

const char* base_name(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash ? slash + 1 : path;
}

} // namespace

Registration::Registration(const char* name, Body body, bool slow) { tests().push_back({name, body, slow}); }

void fail(const char* file, int line, const std::string& what) {
  const std::lock_guard<std::mutex> lock(guard);
  ++failures;
  if (failures > kPrintedFailures) return;
  std::printf("    %s:%d: %s\n", base_name(file), line, what.c_str());
  for (const std::string& scope : scopes) std::printf("        while %s\n", scope.c_str());
  if (failures == kPrintedFailures) std::printf("    (further failures of this test are only counted)\n");
}

void passed() {
  const std::lock_guard<std::mutex> lock(guard);
  ++checks;
}

void within(double error, double bound, const char* file, int line, const std::string& what) {
  if (error <= bound) {
    const std::lock_guard<std::mutex> lock(guard);
    ++checks;
    if (bound > 0) closest = std::max(closest, error / bound);
    return;
  }
  fail(file, line, what + " off by " + show(error) + ", allowed " + show(bound));
}

void skip(const std::string& reason) { throw Skipped{reason}; }

bool quick() { return quick_run; }

bool takes(int number, int every) { return !quick_run || device != "emulated" || number % every == 0; }

const std::string& device_name() { return device; }

Scope::Scope(const std::string& what) {
  const std::lock_guard<std::mutex> lock(guard);
  scopes.push_back(what);
}

Scope::~Scope() {
  const std::lock_guard<std::mutex> lock(guard);
  scopes.pop_back();
}

} // namespace conformance

namespace {

using conformance::Test;

enum class Outcome { Passed, Failed, Skipped };

Outcome run(const Test& test, double* seconds) {
  conformance::checks = 0;
  conformance::failures = 0;
  conformance::closest = 0;
  std::string skipped;
  bool was_skipped = false;
  std::printf("%s ...\n", test.name);
  std::fflush(stdout);
  const auto start = std::chrono::steady_clock::now();
  try {
    test.body();
    if (conformance::checks + conformance::failures == 0) conformance::fail(__FILE__, __LINE__, "made no check");
  } catch (const conformance::Abandon&) {
    // Recorded where it was thrown.
  } catch (const conformance::Skipped& reason) {
    was_skipped = true;
    skipped = reason.reason;
  } catch (const std::exception& error) {
    conformance::fail(__FILE__, __LINE__, std::string("exception: ") + error.what());
  } catch (...) {
    conformance::fail(__FILE__, __LINE__, "unknown exception");
  }
  *seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const bool failed = conformance::failures > 0;
  const char* word = failed ? "FAILED" : was_skipped ? "skipped" : "passed";
  std::printf("    %-7s %6.2f s, %ld checks", word, *seconds, conformance::checks + conformance::failures);
  if (conformance::closest > 0) std::printf(", closest at %.2g of its tolerance", conformance::closest);
  if (failed) std::printf(", %ld failed", conformance::failures);
  if (was_skipped) std::printf(": %s", skipped.c_str());
  std::printf("\n");
  std::fflush(stdout);
  return failed ? Outcome::Failed : was_skipped ? Outcome::Skipped : Outcome::Passed;
}

int usage(const char* program, const char* unknown) {
  std::fprintf(
      stderr,
      "unknown option %s\nusage: %s [--quick] [--list] [--repeat N] [--device cpu|cuda|emulated] [NAME_PART ...]\n",
      unknown, program);
  return 2;
}

} // namespace

int main(int argc, char** argv) {
  std::vector<std::string> wanted;
  bool list = false;
  int repeat = 1;
  const char* const named_device = std::getenv("LNGD_TEST_DEVICE");
  conformance::device = named_device && *named_device ? named_device : "cpu";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick") {
      conformance::quick_run = true;
    } else if (argument == "--list") {
      list = true;
    } else if (argument == "--device" && i + 1 < argc) {
      conformance::device = argv[++i];
    } else if (argument == "--repeat" && i + 1 < argc) {
      repeat = std::max(1, std::atoi(argv[++i]));
    } else if (argument.rfind("--", 0) == 0) {
      return usage(argv[0], argv[i]);
    } else {
      wanted.push_back(argument);
    }
  }

  if (conformance::device != "cpu" && conformance::device != "cuda" && conformance::device != "emulated") {
    std::fprintf(stderr, "device is \"%s\", allowed is cpu, cuda or emulated\n", conformance::device.c_str());
    return 2;
  }

  std::vector<Test> chosen;
  for (const Test& test : conformance::tests()) {
    const bool named = std::any_of(wanted.begin(), wanted.end(),
                                   [&](const std::string& part) { return std::strstr(test.name, part.c_str()); });
    if (wanted.empty() ? !(test.slow && conformance::quick_run) : named) chosen.push_back(test);
  }
  // Link order is not an order: sort, so that two builds run alike.
  std::sort(chosen.begin(), chosen.end(), [](const Test& a, const Test& b) { return std::strcmp(a.name, b.name) < 0; });
  if (list) {
    for (const Test& test : chosen) std::printf("%s\n", test.name);
    return 0;
  }
  if (chosen.empty()) {
    std::fprintf(stderr, "no test matches\n");
    return 2;
  }

  std::vector<std::string> failed;
  int skipped = 0;
  int total = 0;
  double seconds = 0;
  for (int round = 0; round < repeat; ++round) {
    for (const Test& test : chosen) {
      double taken = 0;
      const Outcome outcome = run(test, &taken);
      seconds += taken;
      ++total;
      if (outcome == Outcome::Failed) failed.push_back(test.name);
      if (outcome == Outcome::Skipped) ++skipped;
    }
  }

  const int bad = static_cast<int>(failed.size());
  std::printf("\n%.0f%% tests passed, %d tests failed out of %d (%d skipped), %.1f s\n", 100.0 * (total - bad) / total,
              bad, total, skipped, seconds);
  for (const std::string& name : failed) std::printf("    FAILED %s\n", name.c_str());
  return failed.empty() ? 0 : 1;
}
