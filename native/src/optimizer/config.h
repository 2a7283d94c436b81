// SPDX-License-Identifier: Apache-2.0
// Presets, ranges and settings of lngd_config and lngd_layer_config.
#ifndef LNGD_OPTIMIZER_CONFIG_H
#define LNGD_OPTIMIZER_CONFIG_H

#include "backend/layout.h"
#include "lngd/lngd.h"

namespace lngd {

lngd_config preset_config(int32_t preset, int64_t total_steps);
// steps / share within 1 and `most`; `most` where the length of the run is not known.
int32_t interval(int64_t total_steps, int64_t share, int32_t most);
lngd_layer_config default_layer(int64_t inputs, int64_t outputs);
lngd_layer_config default_embedding(int64_t inputs, int64_t outputs);
lngd_layer_config default_parameter(int64_t elements);
lngd_layer_config default_convolution(int32_t rank, int64_t inputs, int64_t outputs, const int32_t* kernel);
// d_w: the columns of the weights, without a bias.
int64_t weight_columns(const lngd_layer_config& layer);

// Throw LNGD_INVALID_ARGUMENT naming the field, the value seen and what is allowed.
void validate(const lngd_config& config);
void validate(const lngd_config& config, const lngd_layer_config& layer, int32_t index);

// lngd_set: checks `value` and stores it; the configuration stays valid as a whole or is not changed.
void apply_setting(lngd_config& config, int32_t setting, double value);
double read_setting(const lngd_config& config, int32_t setting);

// What LNGD_PRECISION_AUTO is for a layer with these blocks of Phi; any other precision is itself.
int32_t statistics_precision(const lngd_config& config, const BlockLayout& blocks);

// Hash of everything that shapes the state or what follows from it: not threads, device, overlap or the settings of
// lngd_set.
uint64_t config_hash(const lngd_config& config, const lngd_layer_config* layers, int32_t count);

// FNV-1a, 64 bits: the checksum of states too.
uint64_t fnv1a(const void* data, size_t bytes, uint64_t hash = 0xcbf29ce484222325ull);

} // namespace lngd
#endif
