// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_binding;
import org.lngd4j.nativelib.global.lngd_plan;
import org.lngd4j.nativelib.global.lngd_tensor;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Makes a {@link StepPlan}: checks the tensors of its layers and writes their bindings. */
final class PlanBindings {
    private final List<TensorStruct> structs = new ArrayList<>();

    private PlanBindings() {}

    static StepPlan create(
            LngdOptimizer optimizer, List<? extends PlanTensors> tensors, UpdateMode mode) {
        Check.notNull("mode", mode);
        if (Check.notNull("tensors", tensors).isEmpty()) {
            throw Check.bad("tensors", "empty", "one layer or more");
        }
        PlanBindings made = new PlanBindings();
        lngd_plan plan = new lngd_plan();
        int count = tensors.size();
        try (lngd_binding bindings = new lngd_binding(count)) {
            for (int i = 0; i < count; i++) {
                PlanTensors t = Check.notNull("tensors[" + i + "]", tensors.get(i));
                LayerSpec spec = optimizer.spec(t.layer());
                // Not position(i): functions that take any Pointer, such as memset, would count it
                // in bytes.
                lngd_binding binding = bindings.getPointer(i);
                Pointer.memset(binding, 0, binding.sizeof());
                binding.layer(t.layer());
                if (t instanceof LayerTensors arrays) {
                    made.bind(spec, arrays, binding);
                } else if (t instanceof DeviceLayerTensors device) {
                    made.bind(spec, device, binding);
                }
            }
            optimizer.call(o -> lngd.lngd_plan_create(o, bindings, count, mode.code(), plan));
        } finally {
            made.structs.forEach(TensorStruct::close);
        }
        return new StepPlan(optimizer, plan, tensors);
    }

    /** The ND4J arrays among the tensors of a plan. */
    static INDArray[] arrays(List<? extends PlanTensors> tensors) {
        return tensors.stream()
                .filter(LayerTensors.class::isInstance)
                .map(LayerTensors.class::cast)
                .flatMap(
                        t ->
                                Stream.of(
                                        t.weights(),
                                        t.bias(),
                                        t.weightGradients(),
                                        t.biasGradients()))
                .filter(Objects::nonNull)
                .toArray(INDArray[]::new);
    }

    private void bind(LayerSpec spec, LayerTensors t, lngd_binding to) {
        matrix("weights", spec, t.weights(), to.weights());
        matrix("weightGradients", spec, t.weightGradients(), to.weight_gradients());
        if (hasBias(spec, t.bias(), t.biasGradients())) {
            vector("bias", spec, t.bias(), to.bias());
            vector("biasGradients", spec, t.biasGradients(), to.bias_gradients());
        }
    }

    private void bind(LayerSpec spec, DeviceLayerTensors t, lngd_binding to) {
        matrix("weights", spec, t.weights(), to.weights());
        matrix("weightGradients", spec, t.weightGradients(), to.weight_gradients());
        if (hasBias(spec, t.bias(), t.biasGradients())) {
            vector("bias", spec, t.bias(), to.bias());
            vector("biasGradients", spec, t.biasGradients(), to.bias_gradients());
        }
    }

    private static boolean hasBias(LayerSpec spec, Object bias, Object gradients) {
        if (!spec.bias() && (bias != null || gradients != null)) {
            throw Check.bad(
                    "bias of layer \"" + spec.name() + "\"",
                    "there",
                    "null: the layer has no bias");
        }
        return spec.bias();
    }

    private void matrix(String argument, LayerSpec spec, INDArray a, lngd_tensor to) {
        Views.weights(argument, spec, a);
        struct(to).set(a);
    }

    private void matrix(String argument, LayerSpec spec, DeviceTensor t, lngd_tensor to) {
        Views.weights(argument, spec, t);
        struct(to).set(t);
    }

    private void vector(String argument, LayerSpec spec, INDArray a, lngd_tensor to) {
        Views.vector(argument, spec, a, spec.outputs());
        struct(to).setVector(a);
    }

    private void vector(String argument, LayerSpec spec, DeviceTensor t, lngd_tensor to) {
        Views.vector(argument, spec, t, spec.outputs());
        struct(to).set(t);
    }

    private TensorStruct struct(lngd_tensor to) {
        TensorStruct struct = new TensorStruct(to);
        structs.add(struct);
        return struct;
    }
}
