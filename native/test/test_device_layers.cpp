// SPDX-License-Identifier: Apache-2.0
//
// Layers with kernels of their own, a second factor or a diagonal Phi, where everything lies on the device: streams,
// schedules, refresh and graphs must not show in the bits.
#include <memory>
#include <string>

#include "device.hpp"
#include "images.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

constexpr int kSteps = 6;
constexpr std::int64_t kBatch = 6, kPositions = 5;

struct Network {
  const char* name;
  lngd_config config;
  std::vector<lngd_layer_config> layers;
};

lngd_config device_config(int which) {
  lngd_config config = preset(which, 20);
  config.block_size = 8;
  config.statistics_samples = 0;
  config.statistics_interval = config.inverse_interval = 3;
  config.averaging = 1;
  return config;
}

lngd_config orthogonal_config() {
  lngd_config config = device_config(LNGD_PRESET_BLOCK_KRONECKER);
  config.orthogonalise = config.nesterov = 1;
  config.second_block_size = 4;
  return config;
}

std::vector<Network> networks() {
  lngd_layer_config embedding;
  REQUIRE_OK(lngd_embedding_init(19, 5, &embedding));
  embedding.bias = 1;
  const lngd_layer_config convolution = with_geometry(convolution_1d(4, 6, 3), 1, 1, 1, 1, 2);
  return {{"KFAC", device_config(LNGD_PRESET_KFAC), {dense(11, 9), convolution}},
          {"TKFAC", device_config(LNGD_PRESET_TKFAC), {dense(11, 9), convolution}},
          {"orthogonalise", orthogonal_config(), {dense(11, 9), convolution}},
          {"embedding", device_config(LNGD_PRESET_RECIPE), {embedding, dense(11, 9, true, LNGD_ACTIVATION_TANH)}}};
}

// A host tensor and its copy on the device.
template <class AnyTensor>
struct Placed {
  std::unique_ptr<AnyTensor> host;
  std::unique_ptr<OnDevice> there;

  template <class... Shape>
  void make(lngd_optimizer* optimizer, const twin::Matrix& values, Shape... shape) {
    host = std::make_unique<AnyTensor>(shape...);
    host->fill(values);
    there = std::make_unique<OnDevice>(optimizer, *host);
  }
};

// One layer's tensors; the same batch at every step.
struct Resident {
  Placed<Tensor> weights, gradients, bias, bias_gradients, rows, row_signal;
  Placed<ImageTensor> images, image_signal;

  lngd_tensor inputs() const { return rows.there ? rows.there->view() : images.there->view(); }
  lngd_tensor signal() const { return row_signal.there ? row_signal.there->view() : image_signal.there->view(); }
};

class ResidentNetwork {
 public:
  ResidentNetwork(const Network& network, void* stream) : optimizer_(network.config, network.layers) {
    if (stream) REQUIRE_OK(lngd_set_stream(optimizer_.handle(), stream));
    Random random(7);
    lngd_optimizer* const handle = optimizer_.handle();
    std::vector<lngd_binding> bindings;
    for (const lngd_layer_config& layer : network.layers) {
      residents_.push_back(std::make_unique<Resident>());
      Resident& r = *residents_.back();
      const std::int64_t m = layer.outputs, d = twin::weight_columns(layer);
      r.weights.make(handle, random_matrix(m, d, &random), m, d, Layout::Transposed);
      r.gradients.make(handle, random_matrix(m, d, &random), m, d, Layout::PaddedRows);
      r.bias.make(handle, random_matrix(m, 1, &random), m);
      r.bias_gradients.make(handle, random_matrix(m, 1, &random), m);
      make_batch(layer, r, &random);
      lngd_binding binding{};
      binding.layer = static_cast<std::int32_t>(bindings.size());
      binding.weights = r.weights.there->view();
      binding.bias = r.bias.there->view();
      binding.weight_gradients = r.gradients.there->view();
      binding.bias_gradients = r.bias_gradients.there->view();
      bindings.push_back(binding);
      samples_.push_back({r.inputs(), r.signal()});
    }
    signal_kind_ = network.config.fisher == LNGD_FISHER_PROVIDED ? LNGD_SIGNAL_GRADIENTS : LNGD_SIGNAL_PRE_ACTIVATIONS;
    empirical_ = network.config.rate == LNGD_RATE_EMPIRICAL;
    REQUIRE_OK(lngd_plan_create(handle, bindings.data(), static_cast<std::int32_t>(bindings.size()),
                                LNGD_UPDATE_WEIGHTS, &plan_));
  }
  ~ResidentNetwork() { lngd_plan_destroy(plan_); }

  void observe() {
    for (std::size_t l = 0; l < residents_.size(); ++l)
      REQUIRE_OK(lngd_observe(optimizer_.handle(), static_cast<std::int32_t>(l), &samples_[l].inputs,
                              &samples_[l].deltas, signal_kind_));
  }
  lngd_status step(double factor) { return lngd_step(plan_, factor, empirical_ ? samples_.data() : nullptr); }
  std::vector<std::uint8_t> bits() {
    std::vector<std::uint8_t> bytes;
    for (std::size_t l = 0; l < residents_.size(); ++l) {
      residents_[l]->weights.there->download();
      append(bytes, residents_[l]->weights.host->bytes());
      for (const int field :
           {LNGD_FIELD_PHI, LNGD_FIELD_PSI, LNGD_FIELD_PHI_INVERSE, LNGD_FIELD_PSI_INVERSE, LNGD_FIELD_AVERAGE})
        append(bytes, optimizer_.read(static_cast<int>(l), field));
      CHECK_EQ(optimizer_.health(static_cast<int>(l)).skipped_steps, 0);
    }
    return bytes;
  }
  lngd_plan* plan() const { return plan_; }

 private:
  void make_batch(const lngd_layer_config& layer, Resident& r, Random* random) {
    lngd_optimizer* const handle = optimizer_.handle();
    if (layer.kind == LNGD_LAYER_DENSE) {
      r.rows.make(handle, random_matrix(kBatch, layer.inputs, random), kBatch, layer.inputs);
      r.row_signal.make(handle, random_matrix(kBatch, layer.outputs, random), kBatch, layer.outputs);
      return;
    }
    if (layer.kind == LNGD_LAYER_EMBEDDING) {
      twin::Matrix indices(kBatch, kPositions);
      for (double& index : indices.values) index = static_cast<double>(random->bits() % 19);
      r.rows.make(handle, indices, kBatch, kPositions);
    } else {
      r.images.make(handle, random_matrix(kBatch, layer.inputs * kPositions, random), kBatch, layer.inputs,
                    std::int64_t{1}, kPositions, ImageLayout::Nhwc, 1);
    }
    r.image_signal.make(handle, random_matrix(kBatch, layer.outputs * kPositions, random), kBatch, layer.outputs,
                        std::int64_t{1}, kPositions, ImageLayout::Nchw, 1);
  }
  template <class T>
  static void append(std::vector<std::uint8_t>& bytes, const std::vector<T>& values) {
    const auto* begin = reinterpret_cast<const std::uint8_t*>(values.data());
    bytes.insert(bytes.end(), begin, begin + values.size() * sizeof(T));
  }

  Optimizer optimizer_;
  std::vector<std::unique_ptr<Resident>> residents_;
  std::vector<lngd_samples> samples_;
  int signal_kind_ = 0;
  bool empirical_ = false;
  lngd_plan* plan_ = nullptr;
};

std::vector<std::uint8_t> run(const Network& network, void* stream, bool refresh) {
  ResidentNetwork resident(network, stream);
  for (int t = 0; t < kSteps; ++t) {
    resident.observe();
    if (refresh) REQUIRE_OK(lngd_refresh(resident.plan()));
    REQUIRE_OK(resident.step(1 - 0.1 * t));
  }
  return resident.bits();
}

} // namespace

TEST(device_layers_streams_and_schedules_change_no_bit) {
  device_hooks();
  for (Network& network : networks()) {
    const std::vector<std::uint8_t> plain = run(network, nullptr, false);
    for (const int overlap : {1, 0})
      for (const int order : {0, 1, 2}) {
        if (overlap == 0 && order != 1) continue; // one stream has one order, however late
        const Scope scope(std::string(network.name) + " overlap " + std::to_string(overlap) + " schedule " +
                          std::to_string(order));
        const Schedule schedule(order, 5);
        const Stream stream;
        network.config.overlap = overlap;
        CHECK(run(network, stream.handle(), order != 1) == plain);
        stream.synchronize();
      }
  }
}

TEST(device_layers_graph_replays_give_the_bits_of_steps) {
  const lngd::DeviceHooks& hooks = device_hooks();
  for (Network& network : networks())
    for (const int rate : {LNGD_RATE_NONE, LNGD_RATE_EMPIRICAL}) {
      const Scope scope(std::string(network.name) + " rate " + std::to_string(rate));
      if (network.config.orthogonalise && rate != LNGD_RATE_NONE) continue; // refused
      network.config.rate = rate;
      std::vector<std::uint8_t> plain;
      for (const bool graphed : {false, true}) {
        const Schedule schedule(graphed ? 2 : 0, 11);
        const Stream stream;
        ResidentNetwork resident(network, stream.handle());
        void* graph = nullptr;
        int replays = 0;
        for (int t = 0; t < kSteps; ++t) {
          const double factor = 1 - 0.1 * t;
          resident.observe();
          std::int32_t allowed = 0;
          if (graph) {
            REQUIRE_OK(lngd_refresh(resident.plan())); // then a due step can be replayed as well
            REQUIRE_OK(lngd_replay(resident.plan(), factor, &allowed));
          }
          if (allowed) {
            CHECK_EQ(hooks.graph_launch(graph, stream.handle()), 0);
            ++replays;
          } else {
            REQUIRE_OK(resident.step(factor));
          }
          if (!graphed || t != 1) continue;
          REQUIRE(hooks.capture_begin(stream.handle()) == 0);
          CHECK_OK(resident.step(0.123)); // the factor of a capture means nothing
          graph = hooks.capture_end(stream.handle());
          REQUIRE(graph != nullptr);
        }
        const std::vector<std::uint8_t> bits = resident.bits();
        if (graphed) {
          CHECK_EQ(replays, kSteps - 2);
          CHECK(bits == plain);
          hooks.graph_destroy(graph);
        }
        plain = bits;
      }
    }
}
