// SPDX-License-Identifier: Apache-2.0
// Which preset, with which settings, for a network and a length of run: lngd_recommend.
#ifndef LNGD_OPTIMIZER_RECOMMEND_H
#define LNGD_OPTIMIZER_RECOMMEND_H

#include <cstdint>
#include <string>

#include "lngd/lngd.h"

namespace lngd {

struct Recommendation {
  lngd_config config;
  std::string reason; // one line
};

// Throws LNGD_INVALID_ARGUMENT for layers that lngd_create would refuse, and for numbers below 1.
Recommendation recommend(const lngd_layer_config* layers, int32_t count, int64_t total_steps, int64_t batch);

} // namespace lngd
#endif
