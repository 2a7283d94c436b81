// SPDX-License-Identifier: Apache-2.0
#include "optimizer/recommend.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "optimizer/config.h"
#include "optimizer/error.h"

namespace lngd {
namespace {

// Whitened orthogonalisation took 17 to 40 % off the epochs to an accuracy against the default without it, on MLPs at
// batches of 256 to 4096 and on LeNet, and ends higher (docs/method.md): worth it where it costs less than that in
// time. At shares of 0.28 and 0.43 an epoch took 1.3 times as long; beyond nothing was tried with these kernels.
// Autoencoders gain far more: on CURVES, at a share of 2.7, it is first to 50 nats and ends at 30 where it ended at 45.
struct Tried {
  double share;  // of forward and backward pass, at most
  int64_t steps; // at most
  int64_t batch; // at least
};
constexpr Tried kClassifiers{0.45, 1900, 256}, kAutoencoders{4, 1500, 250};
constexpr int64_t kSmallBatch = 32; // below it a single sample can turn a step

// The Newton-Schulz steps, 4 p^2 q + 10 p^3 with p <= q the sides of a group's matrix, over the 6 m d N of forward and
// backward pass. An output position counts as a sample does there, so for convolutions this is an upper bound.
// Embeddings have no part in either.
double orthogonalisation_share(const std::vector<lngd_layer_config>& layers, int64_t batch) {
  double products = 0, passes = 0;
  for (const lngd_layer_config& layer : layers) {
    if (layer.kind == LNGD_LAYER_EMBEDDING) continue;
    const double groups = layer.kind == LNGD_LAYER_CONVOLUTION ? layer.groups : 1;
    const double rows = static_cast<double>(layer.outputs) / groups;
    const double columns = static_cast<double>(weight_columns(layer) + layer.bias);
    const double p = std::min(rows, columns), q = std::max(rows, columns);
    products += groups * (4 * p * p * q + 10 * p * p * p);
    passes += groups * 6 * rows * columns * static_cast<double>(batch);
  }
  return passes > 0 ? products / passes : 0;
}

void orthogonalise(lngd_config& c, int64_t total_steps) {
  c.orthogonalise = 1;
  c.nesterov = 1; // x = (1 - mu) G + mu M
  c.damping_factor = 5;
  c.trust_ratio = 0.7 / std::sqrt(static_cast<double>(total_steps) + 50);
}

} // namespace

Recommendation recommend(const lngd_layer_config* all, int32_t all_count, int64_t total_steps, int64_t batch) {
  require(all_count >= 1, "count is ", all_count, ", allowed is 1 or more layers");
  require(total_steps >= 1, "total_steps is ", total_steps, ", allowed is 1 or more");
  require(batch >= 1, "batch is ", batch, ", allowed is 1 or more");
  std::vector<lngd_layer_config> layers; // without the parameters
  bool convolutions = false;
  for (int32_t i = 0; i < all_count; ++i) {
    // What a layer may be does not depend on the preset.
    validate(preset_config(LNGD_PRESET_RECIPE, total_steps), all[i], i);
    if (all[i].kind == LNGD_LAYER_PARAMETER) continue;
    layers.push_back(all[i]);
    convolutions |= all[i].kind == LNGD_LAYER_CONVOLUTION;
  }
  require(!layers.empty(), "layers has nothing but parameters (kind 3), allowed is 1 or more layers of another kind");
  const lngd_layer_config& last = layers.back();
  const bool classifier = last.output != LNGD_OUTPUT_HIDDEN && last.output != LNGD_OUTPUT_SQUARED_ERROR;
  const bool autoencoder = layers.size() > 1 && layers[0].kind == LNGD_LAYER_DENSE && last.outputs == layers[0].inputs;
  const bool fit = !classifier || autoencoder;
  Recommendation found{preset_config(fit ? LNGD_PRESET_BLOCK_KRONECKER_FIT : LNGD_PRESET_BLOCK_KRONECKER, total_steps),
                       ""};
  lngd_config& c = found.config;
  found.reason = !fit          ? "BLOCK_KRONECKER: the output is a softmax or sigmoid"
                 : autoencoder ? "BLOCK_KRONECKER_FIT: as many outputs as inputs, an autoencoder"
                               : "BLOCK_KRONECKER_FIT: the output is neither softmax nor sigmoid";
  if (convolutions) {
    c.statistics_samples = 64; // every position of a sample is a row
    if (!fit) c.statistics_interval = interval(total_steps, 40, 6);
    found.reason += "; 64 samples for statistics, as there are convolutions";
  }
  if (batch < kSmallBatch && c.soft_trust == 0) {
    c.soft_trust = 1;
    found.reason += "; soft trust ratio for batches of " + std::to_string(batch);
  }
  const double share = orthogonalisation_share(layers, batch);
  const Tried& tried = autoencoder ? kAutoencoders : kClassifiers;
  if ((!fit || autoencoder) && total_steps <= tried.steps && batch >= tried.batch && share <= tried.share) {
    orthogonalise(c, total_steps);
    if (!fit) c.weight_decay = 0.2;
    char text[160];
    std::snprintf(
        text, sizeof text,
        "; whitened orthogonalisation for %lld steps of %lld samples, at %.0f %% of forward and backward pass",
        static_cast<long long>(total_steps), static_cast<long long>(batch), 100 * share);
    found.reason += text;
  }
  return found;
}

} // namespace lngd
