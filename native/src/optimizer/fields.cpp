// SPDX-License-Identifier: Apache-2.0
// lngd_layer_read and lngd_layer_write: a layer's arrays in a compact row-major form.
#include <cmath>
#include <vector>

#include "optimizer/error.h"
#include "optimizer/optimizer.h"

namespace lngd {
namespace {

// The array behind a field of m x d with leading dimension ldw, or nullptr if the field is another.
float* weight_like(const LayerMemory& memory, int32_t field) {
  switch (field) {
    case LNGD_FIELD_MOMENTUM:
      return memory.momentum;
    case LNGD_FIELD_AVERAGE:
      return memory.average;
    case LNGD_FIELD_DIRECTION:
      return memory.direction;
    default:
      return nullptr;
  }
}

} // namespace

int64_t Optimizer::read_field(const Layer& layer, int32_t field, float* out, int64_t capacity) const {
  require(field >= 0 && field <= LNGD_FIELD_DIRECTION, "field is ", field, ", allowed is 0 to 6");
  const LayerShape& shape = layer.shape;
  const bool square = field == LNGD_FIELD_PHI || field == LNGD_FIELD_PHI_INVERSE;
  const bool vector = field == LNGD_FIELD_PSI || field == LNGD_FIELD_PSI_INVERSE;
  const int64_t count = square ? shape.groups * shape.d * shape.d : vector ? shape.outputs : shape.outputs * shape.d;
  if (!out) return count;
  require(capacity >= count, "capacity is ", capacity, ", allowed is ", count, " or more floats");
  if (field == LNGD_FIELD_AVERAGE && !layer.memory.average)
    fail(LNGD_INVALID_STATE, "field is LNGD_FIELD_AVERAGE, but the configuration has averaging off");
  if (field == LNGD_FIELD_DIRECTION && !layer.has_direction)
    fail(LNGD_INVALID_STATE, "field is LNGD_FIELD_DIRECTION, but the layer has made no step yet");
  if (vector) {
    const float* from = field == LNGD_FIELD_PSI ? layer.memory.psi : layer.memory.psi_inverse;
    backend_->read(context_, out, from, static_cast<size_t>(count) * sizeof(float));
    return count;
  }
  if (square) {
    const float* from = field == LNGD_FIELD_PHI ? layer.memory.phi : layer.memory.phi_inverse;
    std::vector<float> blocks(static_cast<size_t>(shape.blocks.floats()));
    backend_->read(context_, blocks.data(), from, blocks.size() * sizeof(float));
    std::fill(out, out + count, 0.0f);
    for (int64_t k = 0; k < shape.blocks.count(); ++k) {
      const float* block = blocks.data() + shape.blocks.offset(k);
      float* corner = out + shape.blocks.group(k) * shape.d * shape.d + shape.blocks.begin(k) * (shape.d + 1);
      for (int64_t i = 0; i < shape.blocks.size(k); ++i)
        for (int64_t j = 0; j <= i; ++j) // both are symmetric; of Phi only the lower triangle is kept
          corner[i * shape.d + j] = corner[j * shape.d + i] = block[i * shape.blocks.ld(k) + j];
    }
    return count;
  }
  const float* from = weight_like(layer.memory, field);
  for (int64_t i = 0; i < shape.outputs; ++i)
    backend_->read(context_, out + i * shape.d, from + i * shape.ldw, static_cast<size_t>(shape.d) * sizeof(float));
  return count;
}

void Optimizer::write_field(Layer& layer, int32_t field, const float* values, int64_t count) {
  require(
      field == LNGD_FIELD_PHI || field == LNGD_FIELD_PSI || field == LNGD_FIELD_MOMENTUM || field == LNGD_FIELD_AVERAGE,
      "field is ", field, ", allowed is PHI (0), PSI (1), MOMENTUM (4) or AVERAGE (5)");
  const int64_t expected = read_field(layer, field, nullptr, 0);
  require(count == expected, "count is ", count, ", allowed is ", expected, " floats for this field");
  if (field == LNGD_FIELD_AVERAGE && !layer.memory.average)
    fail(LNGD_INVALID_STATE, "field is LNGD_FIELD_AVERAGE, but the configuration has averaging off");
  for (int64_t i = 0; i < count; ++i)
    require(std::isfinite(values[i]), "values[", i, "] is ", values[i], ", allowed is a finite number");
  const LayerShape& shape = layer.shape;
  if (field == LNGD_FIELD_MOMENTUM || field == LNGD_FIELD_AVERAGE) {
    float* to = weight_like(layer.memory, field);
    for (int64_t i = 0; i < shape.outputs; ++i)
      backend_->write(context_, to + i * shape.ldw, values + i * shape.d, static_cast<size_t>(shape.d) * sizeof(float));
    return;
  }
  if (field == LNGD_FIELD_PSI) {
    backend_->write(context_, layer.memory.psi, values, static_cast<size_t>(count) * sizeof(float));
  } else {
    for (int64_t k = 0; k < shape.blocks.count(); ++k) {
      const float* corner = values + shape.blocks.group(k) * shape.d * shape.d + shape.blocks.begin(k) * (shape.d + 1);
      float* block = layer.memory.phi + shape.blocks.offset(k);
      for (int64_t i = 0; i < shape.blocks.size(k); ++i)
        backend_->write(context_, block + i * shape.blocks.ld(k), corner + i * shape.d,
                        static_cast<size_t>(i + 1) * sizeof(float));
    }
  }
  LayerRecord record;
  backend_->read(context_, &record, layer.memory.record, sizeof record);
  record.has_average = 1;
  backend_->write(context_, layer.memory.record, &record, sizeof record);
  layer.has_average = true;
  layer.inverse_stale = true;
}

} // namespace lngd
