// SPDX-License-Identifier: Apache-2.0
// Saving and restoring. Layout, little endian:
//   Header | 13 settings (double) | for each layer: LayerHeader, then its arrays in the order of Optimizer::regions |
//   checksum (u64, FNV-1a of all before)
// The inverses in use are part of it. Recomputing them from the running averages, which would save space, gives other
// bits: with T_INV > T_FIM the averages have moved on since the last inversion.
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "optimizer/config.h"
#include "optimizer/error.h"
#include "optimizer/optimizer.h"

namespace lngd {
namespace {

constexpr char kMagic[8] = {'L', 'N', 'G', 'D', 'S', 'T', 'A', 'T'};
// 2: convolutions (kind and groups of a layer); 3: S0 of SIGNAL damping among the settings, norms of the trust ratio's
// rules and mean squares in the records
constexpr uint32_t kVersion = 3;
constexpr int32_t kSettings = LNGD_SET_SIGNAL_REFERENCE + 1;

struct Header {
  char magic[8];
  uint32_t version;
  int32_t layers;
  uint64_t config_hash;
  int64_t bytes;
};

struct LayerHeader {
  int64_t steps;
  int64_t inputs;
  int64_t outputs;
  int32_t has_average;
  int32_t has_inverse;
  int32_t inverse_stale;
  int32_t kind;
  int32_t groups;
  int32_t reserved;
};

void put(unsigned char*& at, const void* data, size_t bytes) {
  std::memcpy(at, data, bytes);
  at += bytes;
}

void take(const unsigned char*& at, void* data, size_t bytes) {
  std::memcpy(data, at, bytes);
  at += bytes;
}

// The configuration with other settings, all at once: one by one, damping_min could pass damping_max on the way.
lngd_config with_settings(lngd_config config, const double* values) {
  for (const int32_t whole : {LNGD_SET_STATISTICS_INTERVAL, LNGD_SET_INVERSE_INTERVAL})
    if (!(values[whole] >= 1 && values[whole] <= 2147483647.0))
      fail(LNGD_BAD_STATE_DATA, "the state has an interval of ", values[whole], ", allowed is 1 to 2147483647");
  config.learning_rate = values[LNGD_SET_LEARNING_RATE];
  config.momentum = values[LNGD_SET_MOMENTUM];
  config.weight_decay = values[LNGD_SET_WEIGHT_DECAY];
  config.damping_factor = values[LNGD_SET_DAMPING_FACTOR];
  config.damping_floor = values[LNGD_SET_DAMPING_FLOOR];
  config.damping_min = values[LNGD_SET_DAMPING_MIN];
  config.damping_max = values[LNGD_SET_DAMPING_MAX];
  config.rho = values[LNGD_SET_RHO];
  config.mu = values[LNGD_SET_MU];
  config.trust_ratio = values[LNGD_SET_TRUST_RATIO];
  config.signal_reference = values[LNGD_SET_SIGNAL_REFERENCE];
  config.statistics_interval = static_cast<int32_t>(values[LNGD_SET_STATISTICS_INTERVAL]);
  config.inverse_interval = static_cast<int32_t>(values[LNGD_SET_INVERSE_INTERVAL]);
  try {
    validate(config);
  } catch (const Error& error) {
    fail(LNGD_BAD_STATE_DATA, "the state has a setting out of range: ", error.message);
  }
  return config;
}

} // namespace

int64_t Optimizer::state_bytes() const {
  int64_t bytes = sizeof(Header) + kSettings * sizeof(double) + sizeof(uint64_t);
  for (const Layer& layer : layers_) {
    bytes += sizeof(LayerHeader);
    for (const Region& region : regions(layer))
      if (region.in_state) bytes += region.bytes;
  }
  return bytes;
}

void Optimizer::save_state(unsigned char* out) const {
  for (const Layer& layer : layers_) {
    if (layer.observed_samples > 0)
      fail(LNGD_INVALID_STATE, "layer ", layer.shape.index,
           " has been observed but not stepped; save between a step and the next observe");
    if (layer.refreshed)
      fail(LNGD_INVALID_STATE, "layer ", layer.shape.index,
           " has been refreshed but not stepped; save between a step and the next observe");
    if (layer.swapped)
      fail(LNGD_INVALID_STATE, "averaged weights of layer ", layer.shape.index,
           " are swapped in; swap them back before saving");
  }
  for (const Layer& layer : layers_)
    if (sums_closed_ || layer.reduced)
      fail(LNGD_INVALID_STATE, "the sums are closed for a reduction, and no step has taken them; save between a step ",
           "and the next lngd_sums_close");
  unsigned char* at = out;
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.layers = layer_count();
  header.config_hash = hash_;
  header.bytes = state_bytes();
  put(at, &header, sizeof header);
  for (int32_t setting = 0; setting < kSettings; ++setting) {
    const double value = read_setting(config_, setting);
    put(at, &value, sizeof value);
  }
  for (const Layer& layer : layers_) {
    const LayerHeader lh{layer.steps,
                         layer.shape.inputs,
                         layer.shape.outputs,
                         layer.has_average,
                         layer.has_inverse,
                         layer.inverse_stale,
                         layer.config.kind,
                         static_cast<int32_t>(layer.shape.groups),
                         0};
    put(at, &lh, sizeof lh);
    for (const Region& region : regions(layer)) {
      if (!region.in_state || region.bytes == 0) continue;
      read(at, region.memory, static_cast<size_t>(region.bytes));
      at += region.bytes;
    }
  }
  const uint64_t checksum = fnv1a(out, static_cast<size_t>(at - out));
  put(at, &checksum, sizeof checksum);
}

void Optimizer::restore_state(const unsigned char* data, int64_t bytes) {
  // Everything is checked before anything is changed.
  Header header;
  const auto bad = [](const auto&... parts) { fail(LNGD_BAD_STATE_DATA, parts...); };
  if (bytes < static_cast<int64_t>(sizeof header)) bad("the state has ", bytes, " bytes, not even a header");
  const unsigned char* at = data;
  take(at, &header, sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) bad("this is not an LNGD state (wrong magic number)");
  if (header.version != kVersion) bad("the state has format version ", header.version, ", allowed is ", kVersion);
  if (header.layers != layer_count() || header.config_hash != hash_)
    bad("the state belongs to another configuration or network (it has ", header.layers, " layers, this optimizer ",
        layer_count(), "; hash ", header.config_hash, " against ", hash_, ")");
  if (header.bytes != bytes || bytes != state_bytes())
    bad("the state has ", bytes, " bytes, expected are ", state_bytes(), " (truncated?)");
  uint64_t checksum;
  std::memcpy(&checksum, data + bytes - static_cast<int64_t>(sizeof checksum), sizeof checksum);
  if (checksum != fnv1a(data, static_cast<size_t>(bytes) - sizeof checksum))
    bad("the state is corrupt (its checksum does not match)");
  for (const Layer& layer : layers_)
    if (layer.swapped)
      fail(LNGD_INVALID_STATE, "averaged weights of layer ", layer.shape.index,
           " are swapped in; swap them back before restoring");
  double values[kSettings];
  take(at, values, sizeof values);
  const lngd_config config = with_settings(config_, values);
  write_layers(at);
  config_ = config;
  sums_closed_ = false;
  for (Layer& layer : layers_) {
    LayerHeader lh;
    take(at, &lh, sizeof lh);
    layer.steps = lh.steps;
    layer.has_average = lh.has_average != 0;
    layer.has_inverse = lh.has_inverse != 0;
    layer.inverse_stale = lh.inverse_stale != 0;
    layer.has_direction = false;
    // Sums of a half-done update do not survive: the next observation begins with clearing them.
    layer.observed_samples = 0;
    layer.refreshed = layer.failed = layer.closed = layer.reduced = layer.awaiting = false;
    layer.torn = !layer.shape.parameter;
    for (const Region& region : regions(layer))
      if (region.in_state) at += region.bytes;
  }
}

// The arrays of a state whose layers begin at `at`. Where the device fails half-way, what was there before is written
// back, so that nothing has changed: if that fails too, the device is lost. (The arrays in a second set of memory, to
// be exchanged when all is there, was rejected: the tables of plans hold their addresses.)
void Optimizer::write_layers(const unsigned char* at) {
  struct Array {
    void* memory;
    size_t bytes;
    const void* after;
    std::vector<unsigned char> before; // where the device can fail
  };
  std::vector<LayerRecord> records(layers_.size());
  std::vector<Array> arrays;
  const bool can_fail = config_.device != LNGD_DEVICE_CPU;
  const InverseHead nothing{}; // what was exchanged at a later step must not pass for what is exchanged there now
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (!layers_[i].shape.parameter) {
      Array head{inverses_ + inverses_layout_->layers[i].head, sizeof nothing, &nothing,
                 std::vector<unsigned char>(can_fail ? sizeof nothing : 0)};
      if (can_fail) read(head.before.data(), head.memory, head.bytes);
      arrays.push_back(std::move(head));
    }
    at += sizeof(LayerHeader);
    for (const Region& region : regions(layers_[i])) {
      if (!region.in_state || region.bytes == 0) continue;
      const auto bytes = static_cast<size_t>(region.bytes);
      Array array{region.memory, bytes, at, std::vector<unsigned char>(can_fail ? bytes : 0)};
      if (region.memory == layers_[i].memory.record) { // without the counts of sums that do not survive
        std::memcpy(&records[i], at, sizeof records[i]);
        records[i].samples = 0;
        records[i].poisoned = 0;
        array.after = &records[i];
      }
      if (can_fail) read(array.before.data(), array.memory, bytes);
      at += region.bytes;
      arrays.push_back(std::move(array));
    }
  }
  try {
    for (const Array& array : arrays) write(array.memory, array.after, array.bytes);
  } catch (...) {
    try {
      for (const Array& array : arrays) write(array.memory, array.before.data(), array.bytes);
    } catch (const Error& error) {
      if (lost_.empty()) lost_ = "lngd_state_restore failed half-way, and could not be undone: " + error.message;
    }
    throw;
  }
}

} // namespace lngd
