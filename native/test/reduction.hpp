// SPDX-License-Identifier: Apache-2.0
//
// A rank of data-parallel training: an optimizer with the tensors of its network, which observes some samples of a
// batch, the all-reduce of the sums of several, element by element in host memory, and the broadcast of inverses.
#ifndef LNGD_TEST_REDUCTION_HPP
#define LNGD_TEST_REDUCTION_HPP

#include <memory>
#include <string>
#include <vector>

#include "images.hpp"

namespace conformance {

// All kinds of layers, small, with each preset; factors in blocks where the preset has them, both intervals 1.
struct Network {
  std::string name;
  lngd_config config;
  std::vector<lngd_layer_config> layers;
};
lngd_config small_config(int preset);
std::vector<Network> small_networks(int activation = LNGD_ACTIVATION_TANH);

// The buffers of lngd_get_sums, copied.
struct Sums {
  std::vector<float> floats;
  std::vector<double> doubles;
};
Sums read_sums(const Optimizer& optimizer);
void write_sums(const Optimizer& optimizer, const Sums& sums);
struct Range {
  std::int64_t offset, count;
};
Range sum_range(const Optimizer& optimizer, int layer, int sum);

struct Rank {
  struct Tensors {
    std::unique_ptr<Tensor> weights, bias, weight_gradients, bias_gradients;
  };
  static constexpr std::int64_t kHeight = 4, kWidth = 3; // of images; an embedding has kWidth positions

  // With owners: lngd_share_inverses, as this rank.
  Rank(const lngd_config& config, const std::vector<lngd_layer_config>& network, bool whole_numbers = false,
       const std::vector<std::int32_t>& owners = {}, int rank = 0);
  ~Rank();
  Rank(const Rank&) = delete;
  Rank& operator=(const Rank&) = delete;

  void share(const std::vector<std::int32_t>& owners, int rank);
  void make_plan(); // of all layers
  lngd_binding binding(int layer) const;
  bool awaits(int layer) const; // LNGD_NEEDS_INVERSES
  // Samples begin .. end - 1 of the batch of step t, of all layers; their numbers are those in the batch.
  void observe(int t, std::int64_t begin, std::int64_t end);
  lngd_status observe_layer(int layer, int t, std::int64_t begin, std::int64_t end);
  lngd_status step() { return lngd_step(plan, 1, nullptr); }
  // Gradients of step t, the same on all ranks.
  void fill_gradients(int t);
  twin::Matrix weights(int layer) const { return tensors[static_cast<std::size_t>(layer)].weights->values(); }

  std::vector<lngd_layer_config> layers;
  bool whole;           // inputs and signals are small whole numbers
  bool poison = false;  // the first sample that it observes has a NaN
  bool numbered = true; // lngd_set_sample_offset is called
  Optimizer optimizer;
  std::vector<Tensors> tensors;
  lngd_plan* plan = nullptr;
};

// The buffer of lngd_get_inverses, copied.
std::vector<float> read_inverses(const Optimizer& optimizer);
void write_inverses(const Optimizer& optimizer, const std::vector<float>& floats, const Range& range);
Range inverse_range(const Optimizer& optimizer, int owner);
// The range of each rank to all others.
void broadcast_inverses(const std::vector<Rank*>& ranks);
// Refresh, broadcast, and tell, of the plan of each rank. False: no inverse was due.
bool exchange_inverses(const std::vector<Rank*>& ranks);

// Close, add in the order of the ranks, hand out, and tell.
void reduce(const std::vector<Rank*>& ranks);

} // namespace conformance

#endif // LNGD_TEST_REDUCTION_HPP
