// SPDX-License-Identifier: Apache-2.0
// A plan: the tensors of some layers, validated once, and the step over them.
#ifndef LNGD_OPTIMIZER_PLAN_H
#define LNGD_OPTIMIZER_PLAN_H

#include <array>
#include <vector>

#include "optimizer/optimizer.h"
#include "optimizer/overlap.h"

namespace lngd {

// A binding whose tensors were validated.
struct Binding {
  int32_t layer;
  Strided weights, bias, weight_gradients, bias_gradients;
  int64_t rows, columns; // as in StepLayer
};

// Of lngd_plan_rebind: an array for each tensor of a binding, in the order of kFields; nullptr keeps what there is.
using Addresses = std::array<void* const*, 4>;

// The per-sample data of one layer, validated.
struct Samples {
  Strided inputs, deltas;
  Activations conv_inputs, conv_deltas; // of a convolution or an embedding
  int64_t count = 0;
};

class StepPlan {
 public:
  // Throws Error. Registers itself with the optimizer.
  StepPlan(Optimizer& optimizer, const std::vector<Binding>& bindings, int32_t update);
  ~StepPlan();
  StepPlan(const StepPlan&) = delete;
  StepPlan& operator=(const StepPlan&) = delete;

  Optimizer& optimizer() { return optimizer_; }
  int32_t size() const { return static_cast<int32_t>(steps_.size()); }
  const Layer& layer(int32_t i) const { return *layers_[static_cast<size_t>(i)]; }
  int64_t bytes() const;

  // Takes new addresses of the same tensors; nothing has changed where it throws for an argument.
  void rebind(const Addresses& addresses);
  // True where a layer of this plan needs per-sample data in its next step.
  bool needs_samples() const;
  // Room for one entry a binding, to be filled and passed to step.
  Samples* sample_buffer() { return samples_.data(); }
  // samples: one for each binding, or nullptr.
  void step(double factor, const Samples* samples);
  // Averages and inverses of the coming step.
  void refresh();
  // Counts a step that a graph will take, or returns false.
  bool replay(double factor);
  // Of all gradients in the last step; throws where nothing is clipped, or no step was taken.
  double gradient_norm() const;
  // Returns whether averages are in the tensors now.
  bool swap_averages();

 private:
  void check_steppable(double factor) const;
  void check_bound() const;
  // Throws where the sums of the coming update wait for other ranks.
  void check_sums() const;
  // Whether the tensors at these addresses overlap, where one of them is written.
  void check_overlap(const std::vector<std::array<float*, 4>>& addresses);
  // Which averages and inverses are due now, into steps_ and elsewhere_. `early`: before the step itself.
  void mark_due(bool early);
  // Throws where inverses that are due are missing.
  void check_inverses() const;
  // What mark_due has marked.
  void update_factors(bool early);
  void read_progress();
  void count_step();
  StepArgs arguments(double factor, bool captured);

  Optimizer& optimizer_;
  int32_t update_;
  std::vector<Layer*> layers_;
  std::vector<StepLayer> steps_;
  std::vector<char> elsewhere_; // for each layer: its inverse is due, and another rank's
  std::vector<Samples> samples_;
  std::vector<std::array<float*, 4>> next_; // of rebind, and workspace of its check
  std::vector<Extent> extents_;
  Scaling scaling_;      // of the present call
  bool stepped_ = false; // a step was taken, or handed to a graph
  bool bound_ = true;    // false: the device failed in the middle of a rebind
  Plan* plan_ = nullptr;
};

} // namespace lngd
#endif
