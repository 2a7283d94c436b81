// SPDX-License-Identifier: Apache-2.0
//
// lngd_set_gradient_scale: a scaled loss makes the steps of the loss itself, and a step whose flag is set is one that
// was never taken.
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>

#include "parameters.hpp"
#include "resident.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

Case scaled_case(const std::string& name, int which) {
  Case c;
  c.name = name;
  c.config = preset(which, 40);
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 3;
  c.layers = {dense(19, 11, true, LNGD_ACTIVATION_RELU), dense(11, 7, false, LNGD_ACTIVATION_TANH),
              dense(7, 5, true, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX)};
  c.batch = 12;
  c.steps = 5;
  return c;
}

// A flag or a scale, on the host or the device.
class Scalar {
 public:
  Scalar(lngd_optimizer* optimizer, bool on_device, double value) : tensor_(1) {
    tensor_.set(0, 0, value);
    if (on_device) there_ = std::make_unique<OnDevice>(optimizer, tensor_);
  }
  void set(double value) {
    tensor_.set(0, 0, value);
    if (there_) there_->upload();
  }
  void* on_device() const { return there_->view().data; }
  const lngd_tensor* pointer() const { return there_ ? there_->pointer() : tensor_.pointer(); }

 private:
  Tensor tensor_;
  std::unique_ptr<OnDevice> there_;
};

std::vector<lngd_layer_config> mixed_layers() {
  return {dense(13, 6, true, LNGD_ACTIVATION_TANH), parameter(35), dense(6, 9, false, LNGD_ACTIVATION_TANH),
          parameter(21, LNGD_PARAMETER_NESTEROV)};
}

// Layers of ParameterNetwork have no bias.
std::vector<lngd_layer_config> layers_without_bias() {
  std::vector<lngd_layer_config> layers = mixed_layers();
  layers[0].bias = 0;
  return layers;
}

lngd_config every_step(bool clipped = false) {
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.statistics_interval = config.inverse_interval = 1;
  config.gradient_clipping = clipped ? 2 : 0;
  return config;
}

// What a step changes, without the counters.
std::vector<std::uint8_t> contents(ParameterNetwork& network, const std::vector<lngd_layer_config>& layers) {
  std::vector<std::uint8_t> bytes;
  const auto append = [&bytes](const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::uint8_t*>(data);
    bytes.insert(bytes.end(), begin, begin + size);
  };
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const twin::Matrix w = network.weights(l).values();
    append(w.values.data(), w.values.size() * sizeof(double));
    std::vector<int> fields = {LNGD_FIELD_MOMENTUM, LNGD_FIELD_AVERAGE};
    if (layers[l].kind != LNGD_LAYER_PARAMETER)
      fields.insert(fields.end(), {LNGD_FIELD_PHI, LNGD_FIELD_PSI, LNGD_FIELD_PHI_INVERSE, LNGD_FIELD_PSI_INVERSE});
    else if (layers[l].method == LNGD_PARAMETER_ADAMW)
      fields.push_back(LNGD_FIELD_SECOND_MOMENT);
    for (const int field : fields) {
      const std::vector<float> values = network.optimizer().read(static_cast<int>(l), field);
      append(values.data(), values.size() * sizeof(float));
    }
  }
  return bytes;
}

} // namespace

// With a power of two every number is that of the loss itself, exactly.
TEST(scaled_loss_has_the_bits_of_the_loss) {
  for (const int which :
       {LNGD_PRESET_RECIPE, LNGD_PRESET_RECIPE_EMPIRICAL, LNGD_PRESET_KFAC, LNGD_PRESET_TKFAC, LNGD_PRESET_NGPLUS,
        LNGD_PRESET_EKFAC, LNGD_PRESET_BLOCK_KRONECKER, LNGD_PRESET_BLOCK_KRONECKER_FIT})
    for (const bool provided : {false, true})
      for (const bool embedded : {false, true}) {
        Case c = scaled_case("preset " + std::to_string(which), which);
        if (which == LNGD_PRESET_EKFAC && (device() != LNGD_DEVICE_CPU || embedded)) continue;
        if (which == LNGD_PRESET_NGPLUS && embedded) continue;
        if (provided) c.config.fisher = LNGD_FISHER_PROVIDED;
        if (provided && which > LNGD_PRESET_RECIPE_EMPIRICAL) continue; // it is
        if (embedded) {
          const std::int32_t kernel[2] = {3, 2};
          c.layers.resize(2);
          REQUIRE_OK(lngd_embedding_init(9, 5, &c.layers[0]));
          REQUIRE_OK(lngd_conv_init(2, 4, 6, kernel, &c.layers[1]));
          c.layers[1].groups = 2;
          c.layers[1].activation = LNGD_ACTIVATION_TANH;
        }
        if (which == LNGD_PRESET_BLOCK_KRONECKER) c.config.orthogonalise = 1;
        c.config.decay = LNGD_DECAY_COUPLED;
        c.config.weight_decay = 0.1;
        const Scope scope(c.name + (provided ? ", provided" : "") + (embedded ? ", images and indices" : ""));
        const std::vector<std::uint8_t> plain = bits_of_case(c);
        c.loss_scale = 1024;
        CHECK(bits_of_case(c) == plain);
        c.scaled_signals = false;
        CHECK(bits_of_case(c) == plain);
      }
}

// Others round, as the scaled gradients of a caller do.
TEST(scaled_loss_beside_the_twin) {
  for (const int which : {LNGD_PRESET_RECIPE, LNGD_PRESET_RECIPE_EMPIRICAL, LNGD_PRESET_KFAC, LNGD_PRESET_TKFAC,
                          LNGD_PRESET_BLOCK_KRONECKER}) {
    Case c = scaled_case("preset " + std::to_string(which), which);
    c.loss_scale = 3000;
    c.config.gradient_clipping = 0.9;
    c.all_layouts = true;
    c.steps = 3;
    run_case(c);
    c.config.gradient_clipping = 0;
    c.update = LNGD_UPDATE_GRADIENTS;
    if (device() != LNGD_DEVICE_CPU) {
      c.on_device = kAllOnDevice;
      c.all_layouts = false;
      c.layout = Layout::Transposed;
    }
    run_case(c);
  }
}

TEST(scale_that_changes_in_its_tensor) {
  for (const bool on_device : {false, true})
    for (const int order : {0, 1, 2}) {
      if (on_device && device() == LNGD_DEVICE_CPU) continue;
      const Schedule schedule(order, 3);
      const std::vector<lngd_layer_config> layers = layers_without_bias();
      ParameterNetwork::Options options;
      options.on_device = on_device;
      ParameterNetwork plain(every_step(true), layers, options), scaled(every_step(true), layers, options);
      Scalar scale(scaled.optimizer().handle(), on_device, 1), flag(scaled.optimizer().handle(), on_device, 0);
      REQUIRE_OK(
          lngd_set_gradient_scale(scaled.optimizer().handle(), 77, scale.pointer(), 0, flag.pointer())); // 77: ignored
      for (int t = 0; t < 4; ++t) {
        const double s = std::ldexp(1.0, 3 * t);
        plain.step(t);
        scaled.prepare(t);
        for (std::size_t l = 0; l < layers.size(); ++l) {
          Tensor& g = scaled.gradients(l);
          for (std::int64_t i = 0; i < g.rows(); ++i)
            for (std::int64_t j = 0; j < g.cols(); ++j) g.set(i, j, s * g.get(i, j));
          scaled.upload_gradients(l);
        }
        scale.set(s);
        REQUIRE_OK(lngd_step(scaled.plan(), 1, nullptr));
        double one = 0, other = 0;
        REQUIRE_OK(lngd_gradient_norm(plain.plan(), &one));
        REQUIRE_OK(lngd_gradient_norm(scaled.plan(), &other));
        CHECK_EQ(other, one);
        scaled.finish();
        CHECK(scaled.bits() == plain.bits());
      }
    }
}

// The run with a flagged step is that without it.
TEST(flagged_step_was_never_taken) {
  for (const bool on_device : {false, true})
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
      for (const bool clipped : {false, true})
        for (const double found : {1.0, -3.0, kNan})
          for (const bool overflowed : {false, true}) {
            if (on_device && device() == LNGD_DEVICE_CPU) continue;
            const std::vector<lngd_layer_config> layers = layers_without_bias();
            ParameterNetwork::Options options;
            options.update = update;
            options.on_device = on_device;
            ParameterNetwork with(every_step(clipped), layers, options), without(every_step(clipped), layers, options);
            Scalar flag(with.optimizer().handle(), on_device, 0);
            REQUIRE_OK(lngd_set_gradient_scale(with.optimizer().handle(), 1, nullptr, 0, flag.pointer()));
            int flagged = 0;
            for (int t = 0; t < 5; ++t) {
              const bool skip = t == 2 || t == 3;
              flag.set(skip ? found : 0);
              if (!skip) {
                with.step(t);
                without.step(t);
                CHECK(contents(with, layers) == contents(without, layers));
                continue;
              }
              const std::vector<std::uint8_t> before = contents(with, layers);
              with.prepare(t);
              if (overflowed)
                for (std::size_t l = 0; l < layers.size(); ++l) {
                  with.gradients(l).fill(kInf);
                  with.upload_gradients(l);
                }
              REQUIRE_OK(lngd_step(with.plan(), 1, nullptr));
              ++flagged;
              with.finish();
              CHECK(contents(with, layers) == before);
              for (std::size_t l = 0; l < layers.size(); ++l) {
                const lngd_health health = with.optimizer().health(static_cast<int>(l));
                CHECK_EQ(health.skipped_steps, flagged);
                CHECK_EQ(health.last_step_skipped, 1);
                CHECK_EQ(health.steps, t + 1);
                CHECK_EQ(health.skipped_statistics, 0);
                if (layers[l].kind != LNGD_LAYER_PARAMETER) CHECK_EQ(health.statistics_updates, 2);
                if (update == LNGD_UPDATE_GRADIENTS)
                  CHECK_EQ(largest_difference(with.gradients(l).values(),
                                              twin::Matrix(with.gradients(l).rows(), with.gradients(l).cols())),
                           0.0);
              }
            }
          }
}

// GradScaler begins with a scale that is too large: the first steps are kept out, and statistics wait for the first
// sound one.
TEST(flagged_first_steps) {
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.statistics_interval = config.inverse_interval = 100;
  for (const bool on_device : {false, true}) {
    if (on_device && device() == LNGD_DEVICE_CPU) continue;
    const std::vector<lngd_layer_config> layers = layers_without_bias();
    ParameterNetwork::Options options;
    options.on_device = on_device;
    ParameterNetwork with(config, layers, options), without(config, layers, options);
    Scalar flag(with.optimizer().handle(), on_device, 1);
    REQUIRE_OK(lngd_set_gradient_scale(with.optimizer().handle(), 1, nullptr, 0, flag.pointer()));
    for (int t = 0; t < 2; ++t) with.step(t);
    CHECK(with.optimizer().needs_statistics(0));
    CHECK_EQ(with.optimizer().health(0).statistics_updates, 0);
    CHECK_EQ(with.optimizer().health(0).inverse_updates, 0);
    CHECK_EQ(with.optimizer().health(0).failed_inverses, 0);
    flag.set(0);
    for (int t = 2; t < 5; ++t) {
      with.step(t);
      without.step(t);
      CHECK(contents(with, layers) == contents(without, layers));
    }
    CHECK_EQ(with.optimizer().health(0).statistics_updates, 1);
    CHECK(!with.optimizer().needs_statistics(0));
  }
}

// Refresh comes before the gradients, and so before the flag.
TEST(flag_is_not_looked_at_by_refresh) {
  for (const bool on_device : {false, true}) {
    if (on_device && device() == LNGD_DEVICE_CPU) continue;
    ParameterNetwork network(every_step(), layers_without_bias(), {});
    Scalar flag(network.optimizer().handle(), on_device, 1);
    REQUIRE_OK(lngd_set_gradient_scale(network.optimizer().handle(), 1, nullptr, 0, flag.pointer()));
    network.prepare(0);
    const twin::Matrix before = network.weights(0).values();
    REQUIRE_OK(lngd_refresh(network.plan()));
    CHECK_EQ(network.optimizer().health(0).statistics_updates, 1);
    REQUIRE_OK(lngd_step(network.plan(), 1, nullptr));
    CHECK_EQ(network.optimizer().health(0).statistics_updates, 1);
    CHECK_EQ(network.optimizer().health(0).skipped_steps, 1);
    CHECK_EQ(largest_difference(network.weights(0).values(), before), 0.0);
  }
}

TEST(scale_that_is_none_keeps_the_step_out) {
  for (const bool on_device : {false, true})
    for (const double bad : {0.0, -1.0, kInf, kNan}) {
      if (on_device && device() == LNGD_DEVICE_CPU) continue;
      ParameterNetwork network(every_step(), layers_without_bias(), {});
      Scalar scale(network.optimizer().handle(), on_device, bad);
      REQUIRE_OK(lngd_set_gradient_scale(network.optimizer().handle(), 1, scale.pointer(), 0, nullptr));
      const twin::Matrix before = network.weights(0).values();
      network.step(0);
      CHECK_EQ(largest_difference(network.weights(0).values(), before), 0.0);
      for (int l = 0; l < 4; ++l) CHECK_EQ(network.optimizer().health(l).skipped_steps, 1);
      CHECK_EQ(network.optimizer().health(0).statistics_updates, 0);
      scale.set(1);
      network.step(1);
      CHECK_GT(largest_difference(network.weights(0).values(), before), 0.0);
    }
}

// A graph reads what was set before its launch, also where it was captured without.
TEST(scaling_in_a_graph) {
  const lngd::DeviceHooks& hooks = device_hooks();
  constexpr int kSteps = 7;
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.block_size = 8;
  config.statistics_interval = config.inverse_interval = 4;
  config.trust = LNGD_TRUST_OFF;
  config.learning_rate = 0.01;
  for (const int order : {0, 1, 2})
    for (const bool clipped : {false, true}) {
      config.gradient_clipping = clipped ? 0.01 : 0;
      const Schedule schedule(order, 5);
      const Stream stream;
      std::vector<std::uint8_t> plain;
      for (const bool graphed : {false, true}) {
        Resident resident(config, stream.handle(), kSteps);
        Scalar scale(resident.optimizer().handle(), true, 1), flag(resident.optimizer().handle(), true, 0);
        Scalar host_flag(resident.optimizer().handle(), false, 1);
        void* graph = nullptr;
        int replays = 0;
        for (int t = 0; t < kSteps; ++t) {
          // Nothing, a number, tensors on the device, a flag on the host.
          lngd_optimizer* const handle = resident.optimizer().handle();
          if (t == 1) REQUIRE_OK(lngd_set_gradient_scale(handle, 8, nullptr, 0, nullptr));
          if (t == 2) REQUIRE_OK(lngd_set_gradient_scale(handle, 1, scale.pointer(), 0, flag.pointer()));
          if (t == 3) REQUIRE_OK(lngd_set_gradient_scale(handle, 1, nullptr, 0, host_flag.pointer()));
          if (t == 5) REQUIRE_OK(lngd_set_gradient_scale(handle, 1, scale.pointer(), 0, flag.pointer()));
          if (t >= 2) scale.set(t);
          flag.set(t == 6 ? 1 : 0);
          resident.observe(t);
          std::int32_t allowed = 0;
          if (graph) REQUIRE_OK(lngd_replay(resident.plan(), 1, &allowed));
          if (allowed) CHECK_EQ(hooks.graph_launch(graph, stream.handle()), 0);
          if (allowed) ++replays;
          if (!allowed) REQUIRE_OK(resident.step(1));
          if (graphed && t == 0) {
            REQUIRE(hooks.capture_begin(stream.handle()) == 0);
            CHECK_OK(resident.step(1));
            CHECK_EQ(lngd_set_gradient_scale(handle, 1, nullptr, 0, nullptr), LNGD_INVALID_STATE);
            graph = hooks.capture_end(stream.handle());
            REQUIRE(graph != nullptr);
          }
        }
        CHECK_EQ(resident.optimizer().health(0).skipped_steps, 3); // 3, 4 and 6
        if (graphed) CHECK_GE(replays, 4);
        const std::vector<std::uint8_t> bits = resident.bits();
        if (graphed) CHECK(bits == plain);
        if (!graphed) plain = bits;
        if (graph) hooks.graph_destroy(graph);
      }
    }
}

// Written on the caller's stream just before the step: the averages, on the side stream, wait for that.
TEST(flag_that_the_stream_sets) {
  const lngd::DeviceHooks& hooks = device_hooks();
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.block_size = 8;
  config.statistics_interval = config.inverse_interval = 1;
  for (const int order : {0, 1, 2}) {
    const Schedule schedule(order, 7);
    const Stream stream;
    Resident resident(config, stream.handle(), 3);
    lngd_optimizer* const handle = resident.optimizer().handle();
    const Scalar flag(handle, true, 0), set(handle, true, 1), clear(handle, true, 0);
    REQUIRE_OK(lngd_set_gradient_scale(handle, 1, nullptr, 0, flag.pointer()));
    for (int t = 0; t < 3; ++t) {
      resident.observe_host(t); // which the side stream need not wait for
      void* const from = (t == 1 ? set : clear).on_device();
      CHECK_EQ(hooks.copy_on_device(flag.on_device(), from, sizeof(float), stream.handle()), 0);
      REQUIRE_OK(resident.step(1));
    }
    CHECK_EQ(resident.optimizer().health(0).statistics_updates, 2);
    CHECK_EQ(resident.optimizer().health(0).skipped_steps, 1);
  }
}

TEST(scaling_misuse) {
  ParameterNetwork network(every_step(), layers_without_bias(), {});
  lngd_optimizer* const handle = network.optimizer().handle();
  const auto refused = [](lngd_status status, const std::string& begin) {
    CHECK_EQ(status, LNGD_INVALID_ARGUMENT);
    const std::string message = lngd_last_error();
    CHECK(message.find(begin) == 0 && message.find("allowed") != std::string::npos);
  };
  for (const double bad : {0.0, -1.0, kInf, kNan})
    refused(lngd_set_gradient_scale(handle, bad, nullptr, 0, nullptr), "scale is ");
  for (const int bad : {-1, 2}) refused(lngd_set_gradient_scale(handle, 1, nullptr, bad, nullptr), "signals is ");
  Tensor two(2), one(1, 1);
  one.set(0, 0, 4);
  refused(lngd_set_gradient_scale(handle, 1, two.pointer(), 0, nullptr), "scale_at has 2 ");
  refused(lngd_set_gradient_scale(handle, 1, nullptr, 0, two.pointer()), "found_inf has 2 ");
  lngd_tensor wrong = one.view();
  wrong.dtype_bits = 64;
  refused(lngd_set_gradient_scale(handle, 1, &wrong, 0, nullptr), "scale_at->dtype is ");
  wrong = one.view();
  wrong.device_type = 4;
  refused(lngd_set_gradient_scale(handle, 1, nullptr, 0, &wrong), "found_inf->device_type is 4");
  wrong = one.view();
  wrong.ndim = 5;
  refused(lngd_set_gradient_scale(handle, 1, nullptr, 0, &wrong), "found_inf->ndim is 5");
  CHECK_EQ(lngd_set_gradient_scale(nullptr, 1, nullptr, 0, nullptr), LNGD_INVALID_HANDLE);
  // Without axes, as torch has it; at any byte of host memory.
  std::vector<unsigned char> bytes(9);
  const float value = 2;
  std::memcpy(bytes.data() + 1, &value, sizeof value);
  lngd_tensor scalar{};
  scalar.data = bytes.data() + 1;
  scalar.device_type = 1;
  scalar.dtype_code = 2;
  scalar.dtype_bits = 32;
  scalar.dtype_lanes = 1;
  REQUIRE_OK(lngd_set_gradient_scale(handle, kNan, &scalar, 0, nullptr)); // scale is not looked at
  ParameterNetwork plain(every_step(), layers_without_bias(), {});
  network.prepare(0);
  plain.prepare(0);
  for (std::size_t l = 0; l < 4; ++l) {
    Tensor& g = network.gradients(l);
    for (std::int64_t i = 0; i < g.rows(); ++i)
      for (std::int64_t j = 0; j < g.cols(); ++j) g.set(i, j, 2 * g.get(i, j));
  }
  REQUIRE_OK(lngd_step(network.plan(), 1, nullptr));
  REQUIRE_OK(lngd_step(plain.plan(), 1, nullptr));
  CHECK(network.bits() == plain.bits());
  REQUIRE_OK(lngd_set_gradient_scale(handle, 1, nullptr, 0, nullptr));
  network.step(1);
  plain.step(1);
  CHECK(network.bits() == plain.bits());
}

// What would leave float where it is divided, or vanish, is kept out like NaN.
TEST(scales_at_the_ends_of_float) {
  lngd_config config = every_step();
  config.fisher = LNGD_FISHER_PROVIDED;
  for (const int approximation :
       {LNGD_APPROXIMATION_LNGD, LNGD_APPROXIMATION_KFAC, LNGD_APPROXIMATION_TKFAC, LNGD_APPROXIMATION_NGPLUS}) {
    config.approximation = approximation;
    for (const double scale : {1e-30, 1e-20, 1e20, 1e30}) {
      const Scope scope("approximation " + std::to_string(approximation) + ", scale " + std::to_string(scale));
      ParameterNetwork network(config, {dense(13, 6, false, LNGD_ACTIVATION_TANH)}, {});
      network.step(0);
      const std::vector<float> before = network.optimizer().read(0, LNGD_FIELD_PHI);
      // Signals of ordinary size: divided by S^2 they are beyond float, or nothing.
      REQUIRE_OK(lngd_set_gradient_scale(network.optimizer().handle(), scale, nullptr, 1, nullptr));
      network.step(1);
      CHECK_EQ(network.optimizer().health(0).skipped_statistics, 1);
      CHECK_EQ(network.optimizer().health(0).statistics_updates, 1);
      CHECK(network.optimizer().read(0, LNGD_FIELD_PHI) == before);
      REQUIRE_OK(lngd_set_gradient_scale(network.optimizer().handle(), 1, nullptr, 0, nullptr));
      network.step(2);
      CHECK_EQ(network.optimizer().health(0).statistics_updates, 2);
      CHECK_EQ(network.optimizer().health(0).last_step_skipped, 0);
      for (const double w : network.weights(0).values().values) CHECK(std::isfinite(w));
    }
  }
  for (const double scale : {1e-39, 1e39}) { // 1 / S is no normal float
    ParameterNetwork network(every_step(), layers_without_bias(), {});
    REQUIRE_OK(lngd_set_gradient_scale(network.optimizer().handle(), scale, nullptr, 0, nullptr));
    network.step(0);
    for (int l = 0; l < 4; ++l) CHECK_EQ(network.optimizer().health(l).skipped_steps, 1);
  }
}
