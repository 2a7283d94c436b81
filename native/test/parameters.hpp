// SPDX-License-Identifier: Apache-2.0
//
// Parameters outside of any layer with their tensors, and a network that has some between its layers.
#ifndef LNGD_TEST_PARAMETERS_HPP
#define LNGD_TEST_PARAMETERS_HPP

#include <memory>
#include <vector>

#include "device.hpp"

namespace conformance {

inline lngd_layer_config parameter(std::int64_t elements, int method = LNGD_PARAMETER_ADAMW) {
  lngd_layer_config layer;
  REQUIRE_OK(lngd_parameter_init(elements, &layer));
  layer.method = method;
  layer.learning_rate = 0.1;
  layer.weight_decay = 0.02;
  return layer;
}

// One optimizer over `layers`, dense ones and parameters, whose gradients and batches of step t are functions of t.
// Parameters are matrices of `rows` rows where that divides their elements, else vectors.
class ParameterNetwork {
 public:
  struct Options {
    int update = LNGD_UPDATE_WEIGHTS;
    Layout weights = Layout::Compact, gradients = Layout::Compact;
    bool on_device = false;
    void* stream = nullptr;
    std::int64_t rows = 1;
  };
  ParameterNetwork(const lngd_config& config, const std::vector<lngd_layer_config>& layers, const Options& options)
      : options_(options), config_(config), layers_(layers), optimizer_(config, layers) {
    if (options.stream) REQUIRE_OK(lngd_set_stream(optimizer_.handle(), options.stream));
    std::vector<lngd_binding> bindings;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      // By its size, so that layers have the same numbers whatever lies between them.
      Random random(static_cast<std::uint64_t>(layers[l].inputs * 100 + layers[l].outputs));
      lngd_binding binding{};
      binding.layer = static_cast<int>(l);
      weights_.push_back(make(layers[l], options.weights, &random, &weights_there_));
      gradients_.push_back(make(layers[l], options.gradients, &random, &gradients_there_));
      binding.weights = view(weights_, weights_there_, l);
      binding.weight_gradients = view(gradients_, gradients_there_, l);
      bindings.push_back(binding);
    }
    REQUIRE_OK(lngd_plan_create(optimizer_.handle(), bindings.data(), static_cast<int>(bindings.size()), options.update,
                                &plan_));
  }
  ~ParameterNetwork() { lngd_plan_destroy(plan_); }

  // Gradients and batches of step t, without the step.
  void prepare(int t) {
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const lngd_layer_config& layer = layers_[l];
      Random random(static_cast<std::uint64_t>(layer.inputs * 100 + layer.outputs) * 1000 +
                    static_cast<std::uint64_t>(t));
      gradients_[l]->fill(random_matrix(gradients_[l]->rows(), gradients_[l]->cols(), &random));
      if (gradients_there_[l]) gradients_there_[l]->upload();
      if (layer.kind == LNGD_LAYER_PARAMETER) continue;
      Tensor inputs(6, layer.inputs), signal(6, layer.outputs);
      inputs.fill(random_matrix(6, layer.inputs, &random));
      signal.fill(random_matrix(6, layer.outputs, &random));
      const bool provided = config_.fisher == LNGD_FISHER_PROVIDED;
      REQUIRE_OK(lngd_observe(
          optimizer_.handle(), static_cast<int>(l), inputs.pointer(), signal.pointer(),
          provided ? static_cast<int>(LNGD_SIGNAL_GRADIENTS) : static_cast<int>(LNGD_SIGNAL_PRE_ACTIVATIONS)));
    }
  }
  // What follows a step: a framework that subtracts gradients does so.
  void finish() {
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      if (weights_there_[l]) weights_there_[l]->download();
      if (gradients_there_[l]) gradients_there_[l]->download();
      CHECK(weights_[l]->guards_intact() && gradients_[l]->guards_intact());
      if (options_.update != LNGD_UPDATE_GRADIENTS) continue;
      for (std::int64_t i = 0; i < weights_[l]->rows(); ++i)
        for (std::int64_t j = 0; j < weights_[l]->cols(); ++j)
          weights_[l]->set(i, j, weights_[l]->get(i, j) - gradients_[l]->get(i, j));
      if (weights_there_[l]) weights_there_[l]->upload();
    }
  }
  void step(int t, double factor = 1) {
    prepare(t);
    REQUIRE_OK(lngd_step(plan_, factor, nullptr));
    finish();
  }

  Tensor& weights(std::size_t l) { return *weights_[l]; }
  Tensor& gradients(std::size_t l) { return *gradients_[l]; }
  void upload_gradients(std::size_t l) {
    if (gradients_there_[l]) gradients_there_[l]->upload();
  }
  Optimizer& optimizer() { return optimizer_; }
  lngd_plan* plan() { return plan_; }
  // Weights, momentum, averages and health of a layer.
  std::vector<std::uint8_t> bits(std::size_t l) {
    if (weights_there_[l]) weights_there_[l]->download();
    std::vector<std::uint8_t> bytes;
    const auto append = [&bytes](const void* data, std::size_t size) {
      const auto* begin = static_cast<const std::uint8_t*>(data);
      bytes.insert(bytes.end(), begin, begin + size);
    };
    const twin::Matrix w = weights_[l]->values();
    append(w.values.data(), w.values.size() * sizeof(double));
    std::vector<int> fields = {LNGD_FIELD_MOMENTUM, LNGD_FIELD_AVERAGE};
    if (layers_[l].kind == LNGD_LAYER_PARAMETER && layers_[l].method == LNGD_PARAMETER_ADAMW)
      fields.push_back(LNGD_FIELD_SECOND_MOMENT);
    for (const int field : fields) {
      const std::vector<float> values = optimizer_.read(static_cast<int>(l), field);
      append(values.data(), values.size() * sizeof(float));
    }
    const lngd_health health = optimizer_.health(static_cast<int>(l));
    append(&health, sizeof health);
    return bytes;
  }
  std::vector<std::uint8_t> bits() {
    std::vector<std::uint8_t> all;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const std::vector<std::uint8_t> one = bits(l);
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }

 private:
  using Copies = std::vector<std::unique_ptr<OnDevice>>;
  std::unique_ptr<Tensor> make(const lngd_layer_config& layer, Layout layout, Random* random, Copies* there) {
    std::int64_t rows = layer.outputs, columns = layer.inputs;
    const bool of_layer = layer.kind != LNGD_LAYER_PARAMETER;
    if (!of_layer && columns % options_.rows == 0) rows = options_.rows, columns /= rows;
    auto tensor = of_layer || rows > 1 ? std::make_unique<Tensor>(rows, columns, layout)
                                       : std::make_unique<Tensor>(columns, layout);
    tensor->fill(random_matrix(tensor->rows(), tensor->cols(), random));
    there->push_back(options_.on_device ? std::make_unique<OnDevice>(optimizer_.handle(), *tensor) : nullptr);
    return tensor;
  }
  static lngd_tensor view(const std::vector<std::unique_ptr<Tensor>>& tensors, const Copies& there, std::size_t l) {
    return there[l] ? there[l]->view() : tensors[l]->view();
  }

  Options options_;
  lngd_config config_;
  std::vector<lngd_layer_config> layers_;
  Optimizer optimizer_;
  std::vector<std::unique_ptr<Tensor>> weights_, gradients_;
  Copies weights_there_, gradients_there_;
  lngd_plan* plan_ = nullptr;
};

} // namespace conformance

#endif // LNGD_TEST_PARAMETERS_HPP
