// SPDX-License-Identifier: Apache-2.0
// Rows into a table on the terminal, and one JSON object with `machine` and `results`.
#ifndef LNGD_BENCH_NATIVE_REPORT_HPP
#define LNGD_BENCH_NATIVE_REPORT_HPP

#include <map>
#include <string>
#include <vector>

#include "row.hpp"

namespace bench {

struct Row {
  Case what;
  double us, low, high; // median and quartiles of the repetitions
  int repetitions;
  double residual; // negative: not checked (a peer)
  double bound;
  Machine machine; // after it
  bool good;       // the machine was at its best before and after
  std::string error;
};

class Report {
 public:
  Report(const Options& options, const lngd::cpu::Blas& blas);
  void ceilings(int32_t threads, const Ceilings& values);
  // Also saves the JSON, with `complete` false: a run of many minutes that is interrupted has not been for nothing.
  void add(const Row& row);
  // Writes the JSON; 1 where something was wrong or failed.
  int finish() const;

 private:
  // The larger of operations over the arithmetic ceiling and bytes over the copy's, over the time.
  double fraction(const Row& row) const;
  std::string json(bool complete) const;
  // The JSON as far as it has come, into the file asked for.
  void save(bool complete) const;
  const Options& options_;
  const lngd::cpu::Blas& blas_;
  std::map<int32_t, Ceilings> ceilings_;
  std::vector<Row> rows_;
};

} // namespace bench
#endif
