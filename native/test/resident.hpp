// SPDX-License-Identifier: Apache-2.0
//
// For tests of streams and graphs.
#ifndef LNGD_TEST_RESIDENT_HPP
#define LNGD_TEST_RESIDENT_HPP

#include <memory>
#include <vector>

#include "device.hpp"

namespace conformance {

// A layer whose tensors all lie on the device, driven without any synchronisation between the calls: inputs and
// gradients of all steps are there from the start.
class Resident {
 public:
  static constexpr std::int64_t kRows = 9, kColumns = 11, kBatch = 10;

  Resident(const lngd_config& config, void* stream, int steps)
      : optimizer_(config, {dense(kColumns, kRows, false, LNGD_ACTIVATION_TANH)}),
        weights_(kRows, kColumns),
        gradients_(kRows, kColumns) {
    if (stream) REQUIRE_OK(lngd_set_stream(optimizer_.handle(), stream));
    Random random(5);
    weights_.fill(random_matrix(kRows, kColumns, &random));
    gradients_.fill(random_matrix(kRows, kColumns, &random));
    weights_there_ = std::make_unique<OnDevice>(optimizer_.handle(), weights_);
    gradients_there_ = std::make_unique<OnDevice>(optimizer_.handle(), gradients_);
    for (int t = 0; t < steps; ++t) {
      inputs_.push_back(std::make_unique<Tensor>(kBatch, kColumns));
      signals_.push_back(std::make_unique<Tensor>(kBatch, kRows));
      inputs_.back()->fill(random_matrix(kBatch, kColumns, &random));
      signals_.back()->fill(random_matrix(kBatch, kRows, &random));
      there_.push_back(std::make_unique<OnDevice>(optimizer_.handle(), *inputs_.back()));
      there_.push_back(std::make_unique<OnDevice>(optimizer_.handle(), *signals_.back()));
    }
    lngd_binding binding{};
    binding.weights = weights_there_->view();
    binding.weight_gradients = gradients_there_->view();
    REQUIRE_OK(lngd_plan_create(optimizer_.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &plan_));
  }
  ~Resident() { lngd_plan_destroy(plan_); }

  void observe(int t) {
    const auto k = static_cast<std::size_t>(2 * t);
    REQUIRE_OK(lngd_observe(optimizer_.handle(), 0, there_[k]->pointer(), there_[k + 1]->pointer(),
                            LNGD_SIGNAL_PRE_ACTIVATIONS));
  }
  // The batch in host memory.
  void observe_host(int t) {
    const auto k = static_cast<std::size_t>(t);
    REQUIRE_OK(lngd_observe(optimizer_.handle(), 0, inputs_[k]->pointer(), signals_[k]->pointer(),
                            LNGD_SIGNAL_PRE_ACTIVATIONS));
  }
  // The batch made on the caller's stream in tensors that every step uses anew: those of step 0.
  void produce(const lngd::DeviceHooks& hooks, void* stream, int t) {
    const auto k = static_cast<std::size_t>(2 * t);
    for (const std::size_t part : {std::size_t{0}, std::size_t{1}}) {
      if (t == 0) continue;
      const std::size_t bytes = (part == 0 ? inputs_ : signals_)[0]->storage().size() - kHeadAndTail;
      CHECK_EQ(hooks.copy_on_device(there_[part]->view().data, there_[k + part]->view().data, bytes, stream), 0);
    }
  }
  lngd_status step(double factor) { return lngd_step(plan_, factor, samples_ ? samples_.get() : nullptr); }
  void use_samples(int t) {
    const auto k = static_cast<std::size_t>(2 * t);
    samples_ = std::make_unique<lngd_samples>();
    samples_->inputs = there_[k]->view();
    samples_->deltas = there_[k + 1]->view();
  }
  void use_samples(const lngd_tensor& inputs, const lngd_tensor& deltas) {
    samples_ = std::make_unique<lngd_samples>(lngd_samples{inputs, deltas});
  }
  // Weights, momentum, averages, health.
  std::vector<std::uint8_t> bits() {
    weights_there_->download();
    std::vector<std::uint8_t> bytes = weights_.bytes();
    for (const int field : {LNGD_FIELD_PHI, LNGD_FIELD_PHI_INVERSE, LNGD_FIELD_MOMENTUM, LNGD_FIELD_AVERAGE}) {
      const std::vector<float> values = optimizer_.read(0, field);
      const auto* begin = reinterpret_cast<const std::uint8_t*>(values.data());
      bytes.insert(bytes.end(), begin, begin + values.size() * sizeof(float));
    }
    const lngd_health health = optimizer_.health(0);
    const auto* begin = reinterpret_cast<const std::uint8_t*>(&health);
    bytes.insert(bytes.end(), begin, begin + sizeof health);
    return bytes;
  }
  lngd_plan* plan() const { return plan_; }
  Optimizer& optimizer() { return optimizer_; }

 private:
  static constexpr std::size_t kHeadAndTail = 512; // the guards of a tensor

  Optimizer optimizer_;
  Tensor weights_, gradients_;
  std::vector<std::unique_ptr<Tensor>> inputs_, signals_;
  std::unique_ptr<OnDevice> weights_there_, gradients_there_;
  std::vector<std::unique_ptr<OnDevice>> there_;
  std::unique_ptr<lngd_samples> samples_;
  lngd_plan* plan_ = nullptr;
};

} // namespace conformance

#endif // LNGD_TEST_RESIDENT_HPP
