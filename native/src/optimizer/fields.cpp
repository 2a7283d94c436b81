// SPDX-License-Identifier: Apache-2.0
// lngd_layer_read and lngd_layer_write: a layer's arrays in a compact row-major form.
#include <algorithm>
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
    case LNGD_FIELD_SECOND_MOMENT:
      return memory.second_moment;
    default:
      return nullptr;
  }
}

// What a field of the wrong kind of layer is told.
void require_field(const Layer& layer, int32_t field, bool write) {
  require(field >= 0 && field <= LNGD_FIELD_SECOND_MOMENT, "field is ", field, ", allowed is 0 to 7");
  const LayerShape& shape = layer.shape;
  const bool own = field == LNGD_FIELD_MOMENTUM || field == LNGD_FIELD_AVERAGE;
  if (shape.parameter) {
    require(own || (field == LNGD_FIELD_SECOND_MOMENT && shape.adamw()), "field is ", field, " of layer ", shape.index,
            ", which is a parameter; allowed is MOMENTUM (4), AVERAGE (5)",
            shape.adamw() ? " or SECOND_MOMENT (7)" : "; SECOND_MOMENT (7) needs the method ADAMW");
  } else if (write) {
    require(own || field == LNGD_FIELD_PHI || field == LNGD_FIELD_PSI, "field is ", field,
            ", allowed is PHI (0), PSI (1), MOMENTUM (4) or AVERAGE (5)");
  } else {
    require(field != LNGD_FIELD_SECOND_MOMENT, "field is SECOND_MOMENT (7) of layer ", shape.index,
            ", allowed is 0 to 6: only parameters have it");
  }
}

// How a field lies in memory: rows of ldw, squares by blocks, or one vector.
enum class Form { Rows, Square, Vector };

Form form_of(const Layer& layer, int32_t field) {
  if (field == LNGD_FIELD_PHI || field == LNGD_FIELD_PHI_INVERSE)
    return layer.shape.blocks.is_diagonal ? Form::Vector : Form::Square;
  if (field == LNGD_FIELD_PSI || field == LNGD_FIELD_PSI_INVERSE)
    return layer.shape.second_matrix() ? Form::Square : Form::Vector;
  return Form::Rows;
}

struct Vector {
  float* data;
  int64_t size;
};

Vector vector_of(const Layer& layer, int32_t field) {
  switch (field) {
    case LNGD_FIELD_PHI:
      return {layer.memory.phi, layer.shape.d};
    case LNGD_FIELD_PHI_INVERSE:
      return {layer.memory.phi_inverse, layer.shape.d};
    case LNGD_FIELD_PSI:
      return {layer.memory.psi, layer.shape.outputs};
    default:
      return {layer.memory.psi_inverse, layer.shape.outputs};
  }
}

// A field of groups x d x d.
struct Square {
  const BlockLayout& blocks;
  float* data;

  int64_t corner(int64_t k) const { return blocks.group(k) * blocks.d * blocks.d + blocks.begin(k) * (blocks.d + 1); }
};

Square square_of(const Layer& layer, int32_t field) {
  switch (field) {
    case LNGD_FIELD_PHI:
      return {layer.shape.blocks, layer.memory.phi};
    case LNGD_FIELD_PHI_INVERSE:
      return {layer.shape.blocks, layer.memory.phi_inverse};
    case LNGD_FIELD_PSI:
      return {layer.shape.second, layer.memory.second};
    default:
      return {layer.shape.second, layer.memory.second_inverse};
  }
}

} // namespace

int64_t Optimizer::read_field(const Layer& layer, int32_t field, float* out, int64_t capacity) const {
  require_field(layer, field, false);
  const LayerShape& shape = layer.shape;
  const Form form = form_of(layer, field);
  const int64_t size = form == Form::Square ? square_of(layer, field).blocks.d : 0;
  const int64_t count = form == Form::Square   ? shape.groups * size * size
                        : form == Form::Vector ? vector_of(layer, field).size
                                               : shape.outputs * shape.d;
  if (!out) return count;
  require(capacity >= count, "capacity is ", capacity, ", allowed is ", count, " or more floats");
  if (field == LNGD_FIELD_AVERAGE && !layer.memory.average)
    fail(LNGD_INVALID_STATE, "field is LNGD_FIELD_AVERAGE, but the configuration has averaging off");
  if (field == LNGD_FIELD_DIRECTION && !layer.has_direction)
    fail(LNGD_INVALID_STATE, "field is LNGD_FIELD_DIRECTION, but the layer has made no step yet");
  if (form == Form::Vector) {
    read(out, vector_of(layer, field).data, static_cast<size_t>(count) * sizeof(float));
    return count;
  }
  if (form == Form::Square) {
    const Square of = square_of(layer, field);
    // EKFAC has eigenvectors in place of inverses, the whitened orthogonalisation triangles.
    const bool whole = (shape.eigenbasis() || config_.orthogonalise != 0) &&
                       (field == LNGD_FIELD_PHI_INVERSE || field == LNGD_FIELD_PSI_INVERSE);
    std::vector<float> blocks(static_cast<size_t>(of.blocks.floats()));
    read(blocks.data(), of.data, blocks.size() * sizeof(float));
    std::fill(out, out + count, 0.0f);
    for (int64_t k = 0; k < of.blocks.count(); ++k) {
      const float* block = blocks.data() + of.blocks.offset(k);
      float* corner = out + of.corner(k);
      for (int64_t i = 0; i < of.blocks.size(k); ++i)
        if (whole)
          std::copy_n(block + i * of.blocks.ld(k), of.blocks.size(k), corner + i * of.blocks.d);
        else
          for (int64_t j = 0; j <= i; ++j) // all are symmetric; of averages only the lower triangle is kept
            corner[i * of.blocks.d + j] = corner[j * of.blocks.d + i] = block[i * of.blocks.ld(k) + j];
    }
    return count;
  }
  // In one read, the padding too: each is a trip to the device.
  std::vector<float> rows(static_cast<size_t>(shape.outputs * shape.ldw));
  read(rows.data(), weight_like(layer.memory, field), rows.size() * sizeof(float));
  for (int64_t i = 0; i < shape.outputs; ++i) std::copy_n(rows.data() + i * shape.ldw, shape.d, out + i * shape.d);
  return count;
}

void Optimizer::write_field(Layer& layer, int32_t field, const float* values, int64_t count) {
  require_field(layer, field, true);
  const int64_t expected = read_field(layer, field, nullptr, 0);
  require(count == expected, "count is ", count, ", allowed is ", expected, " floats for this field");
  if (field == LNGD_FIELD_AVERAGE && !layer.memory.average)
    fail(LNGD_INVALID_STATE, "field is LNGD_FIELD_AVERAGE, but the configuration has averaging off");
  for (int64_t i = 0; i < count; ++i)
    require(std::isfinite(values[i]) && (field != LNGD_FIELD_SECOND_MOMENT || values[i] >= 0), "values[", i, "] is ",
            values[i], ", allowed is a finite number",
            field == LNGD_FIELD_SECOND_MOMENT ? " of 0 or more, a mean of squares" : "");
  const LayerShape& shape = layer.shape;
  if (form_of(layer, field) == Form::Rows) {
    std::vector<float> rows(static_cast<size_t>(shape.outputs * shape.ldw));
    for (int64_t i = 0; i < shape.outputs; ++i) std::copy_n(values + i * shape.d, shape.d, rows.data() + i * shape.ldw);
    write(weight_like(layer.memory, field), rows.data(), rows.size() * sizeof(float));
    return;
  }
  if (form_of(layer, field) == Form::Vector) {
    write(vector_of(layer, field).data, values, static_cast<size_t>(count) * sizeof(float));
  } else {
    const Square of = square_of(layer, field);
    std::vector<float> blocks(static_cast<size_t>(of.blocks.floats()));
    for (int64_t k = 0; k < of.blocks.count(); ++k) {
      const float* corner = values + of.corner(k);
      float* block = blocks.data() + of.blocks.offset(k);
      for (int64_t i = 0; i < of.blocks.size(k); ++i)
        std::copy_n(corner + i * of.blocks.d, i + 1, block + i * of.blocks.ld(k));
    }
    write(of.data, blocks.data(), blocks.size() * sizeof(float));
  }
  LayerRecord record;
  read(&record, layer.memory.record, sizeof record);
  record.has_average = 1;
  write(layer.memory.record, &record, sizeof record);
  layer.has_average = true;
  layer.inverse_stale = true;
}

} // namespace lngd
