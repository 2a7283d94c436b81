// SPDX-License-Identifier: Apache-2.0
// Entry points that read an optimizer out: health, memory, times, fields, row quantities, state.
#include "abi/guard.h"
#include "abi/handles.h"
#include "abi/tensor.h"

using namespace lngd;      // NOLINT: entry points only
using namespace lngd::abi; // NOLINT

extern "C" {

lngd_status lngd_layer_health(const lngd_optimizer* handle, int32_t layer, lngd_health* out) {
  return guard([&] {
    require_struct(out, "out");
    const Locked locked(handle);
    *out = locked.optimizer().health(locked.optimizer().layer(layer));
  });
}

lngd_status lngd_layer_precision(const lngd_optimizer* handle, int32_t layer, int32_t* precision) {
  return guard([&] {
    require_pointer(precision, "precision");
    const Locked locked(handle);
    *precision = locked.optimizer().precision(locked.optimizer().layer(layer));
  });
}

lngd_status lngd_memory_report(const lngd_optimizer* handle, lngd_memory* out) {
  return guard([&] {
    require_struct(out, "out");
    *out = Locked(handle).optimizer().memory();
  });
}

lngd_status lngd_profile(const lngd_optimizer* handle, lngd_times* out) {
  return guard([&] {
    require_struct(out, "out");
    *out = Locked(handle).optimizer().times();
  });
}

lngd_status lngd_layer_read(const lngd_optimizer* handle, int32_t layer, int32_t field, float* out, int64_t capacity,
                            int64_t* count) {
  return guard([&] {
    const Locked locked(handle);
    const Optimizer& optimizer = locked.optimizer();
    const int64_t floats = optimizer.read_field(optimizer.layer(layer), field, out, capacity);
    if (count) *count = floats;
  });
}

lngd_status lngd_layer_write(lngd_optimizer* handle, int32_t layer, int32_t field, const float* values, int64_t count) {
  return guard([&] {
    require_pointer(values, "values");
    const Locked locked(handle);
    locked.optimizer().write_field(locked.optimizer().layer(layer), field, values, count);
  });
}

lngd_status lngd_fisher_rows(const lngd_optimizer* handle, int32_t index, int64_t step, const lngd_tensor* inputs,
                             const lngd_tensor* signal, int32_t signal_kind, float* q, float* r, float* c) {
  return guard([&] {
    const Locked locked(handle);
    const Layer& layer = locked.optimizer().layer(index);
    require_statistics(layer, index);
    if (layer.shape.positional()) {
      const Images images = positional_inputs(locked.optimizer(), inputs, "inputs", layer.config, layer.shape);
      const Activations outputs =
          positional_outputs(locked.optimizer(), signal, "signal", layer.config, layer.shape, images);
      locked.optimizer().fisher_rows(layer, step, images.samples, images.view, outputs, signal_kind,
                                     FisherRows{q, r, c});
      return;
    }
    const Matrix a = batch(locked.optimizer(), inputs, "inputs", layer.shape.inputs);
    const Matrix s = matrix(locked.optimizer(), signal, "signal", a.rows, layer.shape.outputs);
    locked.optimizer().fisher_rows(layer, step, a.rows, a.view, s.view, signal_kind, FisherRows{q, r, c});
  });
}

lngd_status lngd_state_size(const lngd_optimizer* handle, int64_t* bytes) {
  return guard([&] {
    require_pointer(bytes, "bytes");
    *bytes = Locked(handle).optimizer().state_bytes();
  });
}

lngd_status lngd_state_save(const lngd_optimizer* handle, void* buffer, int64_t capacity, int64_t* written) {
  return guard([&] {
    require_pointer(buffer, "buffer");
    const Locked locked(handle);
    const int64_t bytes = locked.optimizer().state_bytes();
    require(capacity >= bytes, "capacity is ", capacity, ", allowed is ", bytes, " or more bytes");
    locked.optimizer().save_state(static_cast<unsigned char*>(buffer));
    if (written) *written = bytes;
  });
}

lngd_status lngd_state_restore(lngd_optimizer* handle, const void* buffer, int64_t bytes) {
  return guard([&] {
    require_pointer(buffer, "buffer");
    require(bytes >= 0, "bytes is ", bytes, ", allowed is 0 or more");
    Locked(handle).optimizer().restore_state(static_cast<const unsigned char*>(buffer), bytes);
  });
}

} // extern "C"
