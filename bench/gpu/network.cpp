// SPDX-License-Identifier: Apache-2.0
#include "network.hpp"

#include "numbers.cuh"

namespace bench {
namespace {

Buffer<float> random(int64_t count, uint32_t seed) {
  Buffer<float> buffer(count);
  fill(buffer.get(), count, seed);
  return buffer;
}

struct Sizes {
  Offsets end{};
  std::vector<Offsets> at;
};

Sizes offsets(const std::vector<lngd::LayerShape>& shapes) {
  Sizes sizes;
  for (const lngd::LayerShape& s : shapes) {
    sizes.at.push_back(sizes.end);
    // Starts are multiples of 16 floats, as an allocation of its own would have them.
    sizes.end.weights += lngd::padded(s.outputs * s.inputs);
    sizes.end.bias += lngd::padded(s.outputs);
    sizes.end.own += s.outputs * s.ldw;
    sizes.end.outputs += lngd::padded(s.outputs);
    sizes.end.blocks += lngd::padded(s.blocks.floats());
    sizes.end.block_count += s.blocks.count();
    sizes.end.groups += s.groups;
  }
  return sizes;
}

std::vector<lngd::LayerShape> shapes_of(const std::vector<Layer>& layers, const Preset& preset) {
  std::vector<lngd::LayerShape> shapes;
  for (const Layer& l : layers) shapes.push_back(l.shape(preset));
  for (size_t i = 0; i < shapes.size(); ++i) shapes[i].index = static_cast<int32_t>(i);
  return shapes;
}

// Every layer has had statistics and an inverse, and moves by a little.
std::vector<lngd::LayerRecord> records_of(size_t count) {
  lngd::LayerRecord r{};
  r.samples = 64;
  r.has_average = r.has_inverse = 1;
  r.last_failed_block = r.last_failed_pivot = -1;
  r.moves = 100;
  r.coefficient = -0x1p-14; // a power of two: zeta is exact
  r.decay = 0x1p-10;
  r.lambda_psi = 1e-3;
  return std::vector<lngd::LayerRecord>(count, r);
}

} // namespace

Network::Network(const std::vector<Layer>& of, const Preset& p)
    : layers(of),
      preset(p),
      shapes(shapes_of(of, p)),
      at(offsets(shapes).at),
      records(records_of(of.size())),
      weights(random(offsets(shapes).end.weights, kWeights)),
      gradients(random(offsets(shapes).end.weights, kGradients)),
      bias(random(offsets(shapes).end.bias, kBias)),
      bias_gradients(random(offsets(shapes).end.bias, kBiasGradients)),
      momentum(random(offsets(shapes).end.own, kMomentum)),
      average(random(offsets(shapes).end.own, kAverage)),
      direction(random(offsets(shapes).end.own, kDirection)),
      phi(offsets(shapes).end.blocks),
      phi_sum(offsets(shapes).end.blocks),
      phi_inverse(offsets(shapes).end.blocks),
      psi(offsets(shapes).end.outputs),
      psi_inverse(offsets(shapes).end.outputs),
      psi_sum(offsets(shapes).end.outputs),
      denominator(std::vector<double>(static_cast<size_t>(offsets(shapes).end.groups), 1.0)),
      lambda_phi(std::vector<double>(static_cast<size_t>(offsets(shapes).end.block_count), 1e-3)) {
  fill(psi.get(), psi.count(), 11, 1.5f, 1.0f);
  fill(psi_inverse.get(), psi_inverse.count(), 12, 1.5f, 1.0f);
  BENCH_CUDA(cudaMemset(psi_sum.get(), 0, static_cast<size_t>(psi_sum.count()) * sizeof(double)));
  BENCH_CUDA(cudaMemset(phi_sum.get(), 0, static_cast<size_t>(phi_sum.count()) * sizeof(float)));
  for (size_t i = 0; i < layers.size(); ++i) {
    const lngd::LayerShape& s = shapes[i];
    const Offsets& o = at[i];
    for (int64_t k = 0; k < s.blocks.count(); ++k) {
      fill_spd(phi.get() + o.blocks + s.blocks.offset(k), s.blocks.size(k), s.blocks.ld(k), kPhi);
      fill_spd_square(phi_inverse.get() + o.blocks + s.blocks.offset(k), s.blocks.size(k), s.blocks.ld(k), kPhiInverse);
    }
    lngd::LayerMemory m{};
    m.phi_sum = phi_sum.get() + o.blocks;
    m.psi_sum = psi_sum.get() + o.outputs;
    m.denominator = denominator.get() + o.groups;
    m.phi = phi.get() + o.blocks;
    m.psi = psi.get() + o.outputs;
    m.phi_inverse = phi_inverse.get() + o.blocks;
    m.psi_inverse = psi_inverse.get() + o.outputs;
    m.lambda_phi = lambda_phi.get() + o.block_count;
    m.momentum = momentum.get() + o.own;
    m.average = average.get() + o.own;
    m.direction = direction.get() + o.own;
    m.record = records.get() + i;
    memory.push_back(m);
    device_layers.push_back({records.get() + i,
                             {weights.get() + o.weights, s.inputs, 1, true},
                             {bias.get() + o.bias, 1, 1, true},
                             {gradients.get() + o.weights, s.inputs, 1, true},
                             {bias_gradients.get() + o.bias, 1, 1, true},
                             momentum.get() + o.own,
                             average.get() + o.own,
                             direction.get() + o.own,
                             psi_inverse.get() + o.outputs,
                             s.ldw,
                             static_cast<int32_t>(s.inputs),
                             static_cast<int32_t>(s.outputs),
                             s.bias ? 1 : 0});
  }
  table = Buffer<lngd::cuda::DeviceLayer>(device_layers);
}

std::vector<std::unique_ptr<Network>> copies(const Options& options, const std::vector<Layer>& layers,
                                             const Preset& preset, double bytes) {
  std::vector<std::unique_ptr<Network>> networks;
  const int count = slots_for(options, device(), bytes);
  for (int i = 0; i < count; ++i) networks.push_back(std::make_unique<Network>(layers, preset));
  return networks;
}

Settings::Settings() {
  lngd_config config{};
  config.learning_rate = 1;
  config.momentum = 0.5;               // exact in binary
  config.decay = LNGD_DECAY_DECOUPLED; // as the records have it
  config.rho = 0.75;
  config.mu = 1e-8;
  config.trust = LNGD_TRUST_ALWAYS;
  config.trust_ratio = 1e-3;
  config.rate = LNGD_RATE_NONE;
  config.averaging = 1;
  config.averaging_window = 8;
  memory =
      Buffer<lngd::cuda::StepSettings>(std::vector<lngd::cuda::StepSettings>{lngd::cuda::step_settings(config, 1.0)});
}

} // namespace bench
