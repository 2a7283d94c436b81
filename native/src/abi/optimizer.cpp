// SPDX-License-Identifier: Apache-2.0
// Entry points of an optimizer: life, settings, observe.
#include <memory>

#include "abi/guard.h"
#include "abi/handles.h"
#include "abi/tensor.h"
#include "optimizer/config.h"

using namespace lngd;      // NOLINT: entry points only
using namespace lngd::abi; // NOLINT

extern "C" {

lngd_status lngd_create(const lngd_config* config, const lngd_layer_config* layers, int32_t count,
                        lngd_optimizer** out) {
  return guard([&] {
    require_pointer(config, "config");
    require_pointer(layers, "layers");
    require_pointer(out, "out");
    auto optimizer = std::make_unique<Optimizer>(*config, layers, count);
    *out = publish(optimizer.get());
    optimizer.release();
  });
}

lngd_status lngd_destroy(lngd_optimizer* handle) {
  return guard([&] {
    const Locked locked(handle, Locked::kToDestroy);
    retire(handle);
    delete &locked.optimizer();
  });
}

lngd_status lngd_set(lngd_optimizer* handle, int32_t setting, double value) {
  return guard([&] { Locked(handle).optimizer().set(setting, value); });
}

lngd_status lngd_get(const lngd_optimizer* handle, int32_t setting, double* value) {
  return guard([&] {
    require_pointer(value, "value");
    *value = read_setting(Locked(handle).optimizer().config(), setting);
  });
}

lngd_status lngd_get_config(const lngd_optimizer* handle, lngd_config* out) {
  return guard([&] {
    require_struct(out, "out");
    *out = Locked(handle).optimizer().config();
  });
}

lngd_status lngd_layer_count(const lngd_optimizer* handle, int32_t* out) {
  return guard([&] {
    require_pointer(out, "out");
    *out = Locked(handle).optimizer().layer_count();
  });
}

lngd_status lngd_needs(const lngd_optimizer* handle, int32_t layer, uint32_t* bits) {
  return guard([&] {
    require_pointer(bits, "bits");
    const Locked locked(handle);
    *bits = locked.optimizer().needs(locked.optimizer().layer(layer));
  });
}

lngd_status lngd_set_stream(lngd_optimizer* handle, void* stream) {
  return guard([&] { Locked(handle).optimizer().set_stream(stream); });
}

lngd_status lngd_set_gradient_scale(lngd_optimizer* handle, double scale, const lngd_tensor* scale_at, int32_t signals,
                                    const lngd_tensor* found_inf) {
  return guard([&] {
    const Locked locked(handle);
    Optimizer& optimizer = locked.optimizer();
    Optimizer::ScaleSource source;
    source.scale = scale_at ? 1 : scale;
    source.signals = signals;
    source.at = scalar(optimizer, scale_at, "scale_at", source.at_device);
    source.found_inf = scalar(optimizer, found_inf, "found_inf", source.found_inf_device);
    optimizer.set_gradient_scale(source);
  });
}

lngd_status lngd_synchronize(lngd_optimizer* handle) {
  return guard([&] { Locked(handle).optimizer().synchronize(); });
}

lngd_status lngd_device_allocate(lngd_optimizer* handle, int64_t bytes, void** out) {
  return guard([&] {
    require_pointer(out, "out");
    *out = Locked(handle).optimizer().device_allocate(bytes);
  });
}

lngd_status lngd_device_free(lngd_optimizer* handle, void* memory) {
  return guard([&] { Locked(handle).optimizer().device_free(memory); });
}

lngd_status lngd_device_copy(lngd_optimizer* handle, void* to, const void* from, int64_t bytes) {
  return guard([&] {
    require_pointer(to, "to");
    require_pointer(from, "from");
    Locked(handle).optimizer().device_copy(to, from, bytes);
  });
}

lngd_status lngd_observe(lngd_optimizer* handle, int32_t index, const lngd_tensor* inputs, const lngd_tensor* signal,
                         int32_t signal_kind) {
  return guard([&] {
    const Locked locked(handle);
    Layer& layer = locked.optimizer().layer(index);
    require_statistics(layer, index);
    if (layer.shape.positional()) {
      const Images a = positional_inputs(locked.optimizer(), inputs, "inputs", layer.config, layer.shape);
      const Activations s = positional_outputs(locked.optimizer(), signal, "signal", layer.config, layer.shape, a);
      locked.optimizer().observe(layer, a.samples, a.view, s, signal_kind);
      return;
    }
    const Matrix a = batch(locked.optimizer(), inputs, "inputs", layer.shape.inputs);
    const Matrix s = matrix(locked.optimizer(), signal, "signal", a.rows, layer.shape.outputs);
    locked.optimizer().observe(layer, a.rows, a.view, s.view, signal_kind);
  });
}

lngd_status lngd_observe_strided(lngd_optimizer* handle, int32_t index, int64_t samples, const float* inputs,
                                 int64_t in_stride0, int64_t in_stride1, const float* signal, int64_t signal_stride0,
                                 int64_t signal_stride1, int32_t signal_kind) {
  return guard([&] {
    const Locked locked(handle);
    Layer& layer = locked.optimizer().layer(index);
    require_statistics(layer, index);
    require(!layer.shape.positional(), "layer is ", index, layer.shape.embedding ? ", an embedding" : ", a convolution",
            ", allowed is a dense layer (use lngd_observe)");
    const auto view = [samples, &locked](const float* data, int64_t s0, int64_t s1, int64_t cols, const char* name) {
      int64_t shape[2] = {samples, cols}, strides[2] = {s0, s1};
      const lngd_tensor tensor{const_cast<float*>(data), 1, 0, 2, 2, 32, 1, shape, strides, 0};
      return batch(locked.optimizer(), &tensor, name, cols).view;
    };
    const Strided a = view(inputs, in_stride0, in_stride1, layer.shape.inputs, "inputs");
    const Strided s = view(signal, signal_stride0, signal_stride1, layer.shape.outputs, "signal");
    locked.optimizer().observe(layer, samples, a, s, signal_kind);
  });
}

lngd_status lngd_discard(lngd_optimizer* handle, int32_t index) {
  return guard([&] {
    const Locked locked(handle);
    Optimizer& optimizer = locked.optimizer();
    const int32_t layers = optimizer.layer_count();
    require(index >= LNGD_ALL_LAYERS && index < layers, "layer is ", index, ", allowed is 0 to ", layers - 1,
            ", or -1 for all");
    optimizer.discard(index);
  });
}

} // extern "C"
