// SPDX-License-Identifier: Apache-2.0
// The layer sets of this folder as the kernels see them: what bench/gpu and bench/native share.
#ifndef LNGD_BENCH_LAYERS_HPP
#define LNGD_BENCH_LAYERS_HPP

#include <stdexcept>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace bench {

struct Failed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Useful operations, those that the tensor cores execute for them (more with several passes), and the fewest bytes.
struct Work {
  double operations = 0, tensor = 0, fp32 = 0, bytes = 0;
};

// What the statistics take and how often they are renewed. The same two as in bench/layers/Counts.java.
struct Preset {
  const char* name;
  int64_t block;   // 0: full Phi
  int64_t samples; // 0: the whole batch
  // The second factor is a matrix, in blocks of this at most (0: full); -1: a vector.
  int64_t second = -1;
  bool orthogonalise = false;
};
constexpr Preset kPresets[] = {{"default", 128, 64, -1}, {"full", 0, 0, -1}};

struct Layer {
  std::string name;
  bool conv = false;
  int64_t inputs = 0, outputs = 0, kernel = 1, stride = 1, padding = 0, groups = 1, height = 1, width = 1;
  bool bias = false;
  int64_t batch = 1;
  std::string activation;
  int count = 1; // layers of the set that this one stands for

  int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
  int64_t positions() const { return conv ? out_height() * out_width() : height * width; }
  int64_t samples(const Preset& p) const { return p.samples > 0 ? std::min(p.samples, batch) : batch; }
  int64_t columns() const { return inputs / groups * kernel * kernel + (bias ? 1 : 0); } // d
  lngd::BlockLayout blocks(const Preset& p) const { return lngd::BlockLayout(columns(), p.block, groups); }
  lngd::BlockLayout second_blocks(const Preset& p) const {
    lngd::BlockLayout none;
    none.block = 1; // no rows, and so no blocks
    return p.second < 0 ? none : lngd::BlockLayout(outputs / groups, p.second, groups);
  }
  lngd::LayerShape shape(const Preset& p) const;
};

// Throws Failed with file and line where it cannot be read.
std::vector<Layer> read_layers(const std::string& path);
// One layer for each shape, in order of appearance, with the count of those like it.
std::vector<Layer> distinct(const std::vector<Layer>& layers);
// The file's name without folder and ending.
std::string set_name(const std::string& path);

// The formulas of bench/layers/Counts.java. `passes`: tensor core products for each useful one (3 for 3xTF32).
Work statistics_work(const Layer& layer, const Preset& preset, int passes);
Work running_average_work(const Layer& layer, const Preset& preset);
Work factor_inverse_work(const Layer& layer, const Preset& preset);
Work precondition_work(const Layer& layer, const Preset& preset, int passes);
Work empirical_rate_work(const Layer& layer, int passes);
Work apply_update_work(const Layer& layer);
Work operator+(const Work& a, const Work& b);

} // namespace bench
#endif
