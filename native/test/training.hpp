// SPDX-License-Identifier: Apache-2.0
//
// A multi-step run of some layers through the ABI beside the twin. The data of step t is a function of (seed, t), so
// that two runs, or a run and its resumed half, see the same.
#ifndef LNGD_TEST_TRAINING_HPP
#define LNGD_TEST_TRAINING_HPP

#include <memory>
#include <string>
#include <vector>

#include "device.hpp"
#include "images.hpp"

namespace conformance {

enum OnDeviceBits { kWeightsOnDevice = 1, kGradientsOnDevice = 2, kBatchesOnDevice = 4, kAllOnDevice = 7 };

struct Case {
  std::string name;
  lngd_config config{};
  std::vector<lngd_layer_config> layers;
  std::int64_t batch = 16;
  int steps = 5;
  int update = LNGD_UPDATE_WEIGHTS;
  double loss_scale = 1;                         // S: gradients and deltas are S times as large
  bool scaled_signals = true;                    // and signals that are gradients
  int signal_kind = LNGD_SIGNAL_PRE_ACTIVATIONS; // PROVIDED layers get gradients whatever this says
  int micro_batches = 1;
  bool strided_observe = false; // through lngd_observe_strided (compact layout only)
  bool all_layouts = false;     // every tensor another layout, rotating with the layer
  Layout layout = Layout::Compact;
  int on_device = 0;    // bits of OnDeviceBits: these tensors lie in memory of the device
  bool refresh = false; // lngd_refresh between observing and stepping
  void* stream = nullptr;
  ImageLayout image_layout = ImageLayout::Nchw; // of inputs, signal and deltas of convolutions
  std::int64_t height = 6, width = 5;           // of the inputs of convolutions; width: positions of embeddings
  std::uint64_t seed = 1;
};

// training_compare.cpp. Relative error allowed in sums of n products in float32, and in a layer's direction.
double sum_error(std::int64_t n);
double direction_error(const twin::Layer& layer);

class Training {
 public:
  explicit Training(const Case& what);
  ~Training();
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

  // Observes what is asked for, takes one step in the library and in the twin.
  void step(double factor = 1);
  // Compares health, weights and all fields of every layer with the twin.
  void compare() const;
  // step and compare, case.steps times, with a factor that falls from 1.
  void run();

  // Weights (with bias) of a layer as the caller's tensors hold them.
  twin::Matrix weights(int layer) const;
  // Bytes of everything that must be reproduced: weights, fields, health of all layers.
  std::vector<std::uint8_t> bits() const;

  void fill_gradients(double value); // of all layers, for steps made by hand
  // To resume: takes over weights and the step counter of another run, not the optimizer's state.
  void adopt_weights(const Training& other);
  void set(int setting, double value); // in the library and in the twin

  Optimizer& optimizer() { return *optimizer_; }
  lngd_plan* plan() const { return plan_; }
  const twin::Layer& reference(int layer) const { return twins_[static_cast<std::size_t>(layer)]; }
  int clipped() const { return clipped_; } // steps whose gradients were longer than gradient_clipping
  int count() const { return static_cast<int>(case_.layers.size()); }

 private:
  struct Tensors {
    std::unique_ptr<Tensor> weights, bias, weight_gradients, bias_gradients;
    std::vector<std::unique_ptr<OnDevice>> weights_there, gradients_there; // where they lie on the device
  };
  struct Batch {
    twin::Matrix images; // samples x (channels height width) of a convolution, samples x positions of an embedding
    twin::Matrix inputs, signal, deltas; // rows: samples, or (sample, position)
    twin::Matrix gradient;
    int signal_kind;
    Geometry size;
  };

  Batch batch(int layer) const;
  // What the library is given of a batch: of a scaled loss.
  Batch scaled(Batch data) const;
  Layout layout(int layer, int role) const;
  ImageLayout image_layout(int layer, int role) const;
  void observe(int layer, const Batch& data);
  // What the binding of a tensor is: itself, or a copy on the device, which is added to `there`.
  template <class AnyTensor>
  lngd_tensor place(AnyTensor& tensor, int bit, std::vector<std::unique_ptr<OnDevice>>& there) {
    if (!(case_.on_device & bit)) return tensor.view();
    there.push_back(std::make_unique<OnDevice>(optimizer_->handle(), tensor));
    return there.back()->view();
  }
  // Inputs and a signal of the samples begin .. end - 1 of a convolution or an embedding, placed.
  struct Positional {
    lngd_tensor inputs, signal;
  };
  Positional positional(int layer, const Batch& data, const twin::Matrix& signal, std::int64_t begin, std::int64_t end);
  bool guards_intact() const;                      // of the batches of this step
  twin::Matrix factor(int layer, int field) const; // PHI or PHI_INVERSE with the zeros that are not stored
  void observe_images(int layer, const Batch& data);
  void apply_gradient(int layer);
  void clip(std::vector<Batch>& batches);
  void take_signal_reference();
  void compare_layer(int layer) const;
  void compare_psi(int layer) const;
  void compare_second(int layer) const;

  Case case_;
  std::unique_ptr<Optimizer> optimizer_;
  lngd_plan* plan_ = nullptr;
  std::vector<Tensors> tensors_;
  std::vector<std::unique_ptr<Tensor>> batches_; // of this step
  std::vector<std::unique_ptr<ImageTensor>> images_;
  std::vector<std::unique_ptr<OnDevice>> batches_there_; // read until the step has been called
  std::vector<twin::Layer> twins_;
  std::vector<double> weight_error_, momentum_error_; // bounds on the distance from the twin, accumulated
  int step_ = 0, clipped_ = 0;
};

// The bits of the end of a run, for what the twin does not have: EKFAC, orthogonalise.
std::vector<std::uint8_t> bits_of_case(const Case& what);

// Makes a run of the case, compares at every step, and returns the bits of the end.
std::vector<std::uint8_t> run_case(const Case& what);

} // namespace conformance

#endif // LNGD_TEST_TRAINING_HPP
