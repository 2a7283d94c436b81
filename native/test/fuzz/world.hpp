// SPDX-License-Identifier: Apache-2.0
//
// One optimizer with its tensors, and what is known about it: what a call may change, and what it must not.
#ifndef LNGD_FUZZ_WORLD_HPP
#define LNGD_FUZZ_WORLD_HPP

#include <memory>
#include <string>
#include <vector>

#include "lngd/lngd.h"
#include "random.hpp"

namespace fuzz {

// What went wrong, with the call that it went wrong in.
struct Found {
  std::string what;
};
[[noreturn]] void found(const std::string& what);

// Floats between two guards, as a tensor of any shape.
class Buffer {
 public:
  explicit Buffer(std::vector<std::int64_t> shape);
  lngd_tensor view();
  void fill(Random& random, bool finite);
  void fill_ordinary(Random& random); // within 1/2 of 0
  bool guards_intact() const;
  bool finite() const;
  const std::vector<std::int64_t>& shape() const { return shape_; }
  const std::vector<float>& memory() const { return memory_; }
  float* data() { return memory_.data() + kGuard; }

 private:
  static constexpr std::size_t kGuard = 8;
  std::vector<std::int64_t> shape_;
  std::vector<float> memory_;
};

struct LayerTensors {
  Buffer weights, bias, weight_gradients, bias_gradients;
};

class World {
 public:
  // A random network and configuration, both valid.
  World(Random& random, std::int32_t device);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // A batch as layer i takes it.
  std::unique_ptr<Buffer> inputs(std::size_t i, std::int64_t samples) const;
  std::unique_ptr<Buffer> signal(std::size_t i, std::int64_t samples) const;
  std::int32_t signal_kind(std::size_t i) const;
  std::vector<lngd_binding> bindings();
  void make_plan(); // where the one that there was is destroyed
  void fill_gradients(Random& random, bool finite);

  // All that the caller can see of it and of his own memory.
  struct Snapshot {
    std::vector<unsigned char> state; // empty where it cannot be saved now
    std::vector<std::vector<float>> weights, gradients;
    bool operator==(const Snapshot& other) const;
  };
  Snapshot snapshot();
  bool weights_finite() const;
  void check_guards() const;
  std::vector<unsigned char> state() const; // empty where it cannot be saved now

  lngd_config config{};
  std::vector<lngd_layer_config> layers;
  std::vector<std::unique_ptr<LayerTensors>> tensors;
  lngd_optimizer* optimizer = nullptr;
  lngd_plan* plan = nullptr;
  std::int32_t update = LNGD_UPDATE_WEIGHTS;
  std::vector<unsigned char> saved;  // a state of before
  Buffer scale{{1}}, found_inf{{1}}; // of lngd_set_gradient_scale, which keeps their addresses

 private:
  void choose_layers(Random& random);
};

} // namespace fuzz

#endif // LNGD_FUZZ_WORLD_HPP
