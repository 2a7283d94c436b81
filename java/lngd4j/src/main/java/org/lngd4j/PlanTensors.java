// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_binding;
import org.lngd4j.nativelib.global.lngd_plan;
import org.lngd4j.nativelib.global.lngd_tensor;

/**
 * The tensors of a {@link StepPlan}: checks them and writes their bindings, keeps the views
 * reachable, and holds the arrays of addresses that a rebind hands over, so that none is made for a
 * call.
 */
final class PlanTensors {
    private static final String[] NAMES = {"weights", "bias", "weightGradients", "biasGradients"};

    private final int[] layers;

    /** By kind in the order of {@link #NAMES}, then by layer; null where there is no bias. */
    private final BoundTensor[][] bound;

    private final LongPointer[] addresses = new LongPointer[NAMES.length];
    private final PointerPointer<?>[] arrays = new PointerPointer<?>[NAMES.length];

    private PlanTensors(LngdOptimizer optimizer, List<LayerTensors> tensors) {
        int count = tensors.size();
        layers = new int[count];
        bound = new BoundTensor[NAMES.length][count];
        for (int i = 0; i < count; i++) {
            layers[i] = tensors.get(i).layer();
            LayerSpec spec = optimizer.spec(layers[i]);
            for (int k = 0; k < NAMES.length; k++) {
                TensorView view = view(tensors.get(i), k);
                bound[k][i] = view == null ? null : new BoundTensor(NAMES[k], spec, view);
            }
        }
        for (int k = 0; k < NAMES.length; k++) {
            addresses[k] = new LongPointer(count).fill(0).retainReference();
            arrays[k] = new PointerPointer<>(addresses[k]);
        }
    }

    private static TensorView view(LayerTensors t, int kind) {
        return switch (kind) {
            case 0 -> t.weights();
            case 1 -> t.bias();
            case 2 -> t.weightGradients();
            default -> t.biasGradients();
        };
    }

    static StepPlan plan(LngdOptimizer optimizer, List<LayerTensors> tensors, UpdateMode mode) {
        Check.notNull("mode", mode);
        if (Check.notNull("tensors", tensors).isEmpty()) {
            throw Check.bad("tensors", "empty", "one layer or more");
        }
        lngd_plan plan = new lngd_plan();
        int count = tensors.size();
        List<TensorStruct> structs = new ArrayList<>();
        try (lngd_binding bindings = new lngd_binding(count)) {
            for (int i = 0; i < count; i++) {
                LayerTensors t = Check.notNull("tensors[" + i + "]", tensors.get(i));
                // Not position(i): functions that take any Pointer, such as memset, would count it
                // in bytes.
                lngd_binding binding = bindings.getPointer(i);
                Pointer.memset(binding, 0, binding.sizeof());
                binding.layer(t.layer());
                bind(optimizer.spec(t.layer()), t, binding, structs);
            }
            PlanTensors made = new PlanTensors(optimizer, tensors);
            optimizer.call(o -> lngd.lngd_plan_create(o, bindings, count, mode.code(), plan));
            return new StepPlan(optimizer, plan, made);
        } finally {
            structs.forEach(TensorStruct::close);
        }
    }

    private static void bind(
            LayerSpec spec, LayerTensors t, lngd_binding to, List<TensorStruct> structs) {
        lngd_tensor[] targets = {
            to.weights(), to.bias(), to.weight_gradients(), to.bias_gradients()
        };
        for (int k = 0; k < NAMES.length; k++) {
            TensorView view = view(t, k);
            boolean vector = k % 2 == 1;
            if (vector && !spec.bias()) {
                checkNone(NAMES[k], spec, view);
                continue;
            }
            if (vector) {
                TensorChecks.vector(NAMES[k], spec, view, spec.outputs());
            } else {
                TensorChecks.weights(NAMES[k], spec, view);
            }
            TensorStruct struct = new TensorStruct(targets[k]);
            structs.add(struct);
            struct.set(view);
        }
    }

    private static void checkNone(String argument, LayerSpec spec, TensorView view) {
        if (view != null) {
            throw TensorChecks.bad(argument, spec, "there", "null: the layer has no bias");
        }
    }

    int count() {
        return layers.length;
    }

    /** Layer of an entry of the plan. */
    int layer(int entry) {
        return layers[entry];
    }

    /** Weights and, where a step is about to read or write them, gradients. */
    void checkUnmoved(boolean gradients) {
        for (int k = 0; k < (gradients ? 4 : 2); k++) {
            for (BoundTensor tensor : bound[k]) {
                if (tensor != null) {
                    tensor.checkUnmoved();
                }
            }
        }
    }

    /** Hands the plan new addresses; {@link #take} follows where the native side took them. */
    int rebind(LngdOptimizer optimizer, lngd_plan plan, List<LayerTensors> tensors) {
        int count = layers.length;
        if (Check.notNull("tensors", tensors).size() != count) {
            String allowed = count + ", one for each layer of the plan";
            throw Check.bad("the number of tensors entries", tensors.size(), allowed);
        }
        for (int i = 0; i < count; i++) {
            LayerTensors t = tensors.get(i);
            if (t == null || t.layer() != layers[i]) {
                throw Check.bad(
                        t == null ? "tensors[" + i + "]" : "the layer of tensors[" + i + "]",
                        t == null ? null : t.layer(),
                        "that of layer "
                                + layers[i]
                                + ", \""
                                + optimizer.spec(layers[i]).name()
                                + "\": the layers are those of the plan, in its order");
            }
            for (int k = 0; k < NAMES.length; k++) {
                TensorView view = view(t, k);
                BoundTensor to = bound[k][i];
                if (to == null) {
                    checkNone(NAMES[k], optimizer.spec(layers[i]), view);
                } else {
                    addresses[k].put(i, to.next(view));
                }
            }
        }
        return lngd.lngd_plan_rebind(plan, count, arrays[0], arrays[1], arrays[2], arrays[3]);
    }

    /** Keeps what the last rebind handed over. */
    void take() {
        for (BoundTensor[] kind : bound) {
            for (BoundTensor tensor : kind) {
                if (tensor != null) {
                    tensor.take();
                }
            }
        }
    }
}
