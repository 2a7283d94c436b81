// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "backend/device_library.h"

namespace bench {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return out + '"';
}

std::string number(double x) {
  if (!std::isfinite(x)) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", x);
  return text;
}

bool wrong(const Row& r) { return !r.error.empty() || (r.what.by == "lngd" && !(r.residual <= r.bound)); }

bool same_case(const Row& a, const Row& b) {
  return a.what.kernel == b.what.kernel && a.what.set == b.what.set && a.what.name == b.what.name &&
         a.what.preset == b.what.preset && a.what.threads == b.what.threads;
}

} // namespace

Report::Report(const Options& options, const lngd::cpu::Blas& blas) : options_(options), blas_(blas) {}

void Report::ceilings(int32_t threads, const Ceilings& values) {
  ceilings_[threads] = values;
  std::fprintf(stderr, "ceilings, %d thread%s: sgemm %.1f GFLOP/s, copy %.1f GB/s\n", threads, threads == 1 ? "" : "s",
               values.gflops, values.gbytes);
  std::fprintf(stderr, "%-17s %-15s %-22s %-8s %2s %10s %8s %8s %5s  %s\n", "kernel", "set", "case", "preset", "th",
               "us", "GFLOP/s", "GB/s", "ceil", "by / residual");
}

double Report::fraction(const Row& row) const {
  const Ceilings& c = ceilings_.at(row.what.threads);
  const double floor = std::max(row.what.work.operations / c.gflops, row.what.work.bytes / c.gbytes) * 1e-3;
  return floor / row.us;
}

void Report::add(const Row& row) {
  rows_.push_back(row);
  if (options_.json != "-") save(false);
  const bool ours = row.what.by == "lngd";
  std::fprintf(stderr, "%-17s %-15s %-22.22s %-8s %2d ", row.what.kernel.c_str(), row.what.set.c_str(),
               row.what.name.c_str(), row.what.preset.c_str(), row.what.threads);
  if (!row.error.empty()) {
    std::fprintf(stderr, "FAILED: %s\n", row.error.c_str());
    return;
  }
  std::fprintf(stderr, "%10.2f %8.1f %8.1f %4.0f%%  ", row.us, row.what.work.operations / row.us * 1e-3,
               row.what.work.bytes / row.us * 1e-3, 100 * fraction(row));
  if (!row.good)
    std::fprintf(stderr, "[%.1f processors, handoff %.0f ns] ", row.machine.processors, row.machine.handoff_ns);
  if (ours) {
    std::fprintf(stderr, "%.1e%s\n", row.residual, wrong(row) ? " WRONG" : "");
    return;
  }
  for (const Row& other : rows_)
    if (other.what.by == "lngd" && same_case(other, row) && other.error.empty())
      std::fprintf(stderr, "%s%s: lngd takes %.2f of it\n", row.what.by.c_str(), row.what.part ? " (part)" : "",
                   other.us / row.us);
}

std::string Report::json(bool complete) const {
  lngd_backend_description d{};
  d.struct_size = sizeof d;
  lngd_backend_info(LNGD_DEVICE_CPU, &d);
  const std::time_t now = std::time(nullptr);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%MZ", std::gmtime(&now));
  const char* const commit = std::getenv("LNGD_COMMIT");
  std::string out = std::string("{\"complete\":") + (complete ? "true" : "false") +
                    ",\"machine\":{\"date\":" + quoted(date) + ",\"commit\":" + quoted(commit ? commit : "unknown") +
                    ",\"processor\":" + quoted(d.cpu_model) + ",\"instructions\":" + quoted(d.instruction_set) +
                    ",\"blas\":" + quoted(blas_.config) + ",\"blas_core\":" + quoted(blas_.core) +
                    ",\"compiler\":" + quoted(__VERSION__) + ",\"quick\":" + (options_.quick ? "true" : "false") +
                    ",\"ceilings\":[";
  bool first = true;
  for (const auto& [threads, c] : ceilings_) {
    out += std::string(first ? "" : ",") + "{\"threads\":" + std::to_string(threads) +
           ",\"sgemm_gflops\":" + number(c.gflops) + ",\"copy_gbytes\":" + number(c.gbytes) + "}";
    first = false;
  }
  out += "]},\n\"results\":[";
  first = true;
  for (const Row& r : rows_) {
    out += std::string(first ? "\n" : ",\n") + "{\"kernel\":" + quoted(r.what.kernel) +
           ",\"set\":" + quoted(r.what.set) + ",\"case\":" + quoted(r.what.name) +
           ",\"preset\":" + quoted(r.what.preset) + ",\"by\":" + quoted(r.what.by) +
           ",\"threads\":" + std::to_string(r.what.threads);
    first = false;
    if (!r.error.empty()) {
      out += ",\"error\":" + quoted(r.error) + "}";
      continue;
    }
    out += ",\"us\":" + number(r.us) + ",\"us_low\":" + number(r.low) + ",\"us_high\":" + number(r.high) +
           ",\"repetitions\":" + std::to_string(r.repetitions) + ",\"processors\":" + number(r.machine.processors) +
           ",\"handoff_ns\":" + number(r.machine.handoff_ns) + ",\"undisturbed\":" + (r.good ? "true" : "false") +
           ",\"operations\":" + number(r.what.work.operations) + ",\"bytes\":" + number(r.what.work.bytes) +
           ",\"gflops\":" + number(r.what.work.operations / r.us * 1e-3) +
           ",\"gbytes\":" + number(r.what.work.bytes / r.us * 1e-3) + ",\"of_ceiling\":" + number(fraction(r)) +
           ",\"part\":" + (r.what.part ? "true" : "false");
    if (r.what.by == "lngd") {
      out += ",\"residual\":" + number(r.residual) + ",\"bound\":" + number(r.bound) +
             ",\"correct\":" + (wrong(r) ? "false" : "true") + ",\"of_peers\":{";
      bool first_peer = true;
      for (const Row& peer : rows_)
        if (peer.what.by != "lngd" && same_case(peer, r) && peer.error.empty()) {
          out += std::string(first_peer ? "" : ",") + quoted(peer.what.by) + ":" + number(r.us / peer.us);
          first_peer = false;
        }
      out += "}";
    }
    out += "}";
  }
  return out + "\n]}\n";
}

// Beside the file and then renamed: an interrupt at any moment leaves a whole object. A handler of signals would have
// to write from inside one, and would not help against SIGKILL.
void Report::save(bool complete) const {
  if (options_.json.empty()) return;
  // Not over /dev/stdout or a pipe: those get the whole object, once.
  const bool special = std::filesystem::exists(options_.json) && !std::filesystem::is_regular_file(options_.json);
  if (special && !complete) return;
  const std::string part = special ? options_.json : options_.json + ".part";
  std::ofstream file(part, std::ios::trunc);
  file << json(complete);
  file.close();
  if (!file || (!special && std::rename(part.c_str(), options_.json.c_str()) != 0))
    throw Failed("cannot write " + options_.json);
}

int Report::finish() const {
  const auto failures = std::count_if(rows_.begin(), rows_.end(), wrong);
  if (failures) std::fprintf(stderr, "%d cases failed or were wrong\n", static_cast<int>(failures));
  if (options_.json == "-") {
    std::cout << json(true) << std::flush;
  } else {
    save(true);
  }
  return failures ? 1 : 0;
}

} // namespace bench
