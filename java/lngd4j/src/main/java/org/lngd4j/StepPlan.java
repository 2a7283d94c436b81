// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_binding;
import org.lngd4j.nativelib.global.lngd_plan;
import org.lngd4j.nativelib.global.lngd_tensor;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Steps over some layers of an {@link LngdOptimizer}, prepared once. Keeps the arrays that it was
 * made with, which must keep their memory: a step on an array that was closed or given other data
 * is refused. The rule of one thread at a time is that of the optimizer, whose close ends its plans
 * too.
 */
public final class StepPlan implements AutoCloseable {
    private final LngdOptimizer optimizer;
    private final lngd_plan pointer;
    private final int[] layers;
    private final INDArray[] arrays;
    private final long[] addresses;
    private final Leaks.Registration registration;
    private SampleStructs samples;
    private boolean closed;

    private StepPlan(
            LngdOptimizer optimizer, lngd_plan pointer, int[] layers, List<INDArray> arrays) {
        this.optimizer = optimizer;
        this.pointer = pointer;
        this.layers = layers;
        this.arrays = arrays.toArray(new INDArray[0]);
        this.addresses = arrays.stream().mapToLong(Views::address).toArray();
        OptimizerHandle handle = optimizer.handle;
        this.registration =
                Leaks.register(
                        this,
                        "StepPlan of " + layers.length + " layers",
                        () -> handle.release(pointer));
    }

    static StepPlan create(LngdOptimizer optimizer, List<LayerTensors> tensors, UpdateMode mode) {
        Check.notNull("mode", mode);
        if (Check.notNull("tensors", tensors).isEmpty()) {
            throw Check.bad("tensors", "empty", "one layer or more");
        }
        List<INDArray> arrays = new ArrayList<>();
        List<LongPointer> extents = new ArrayList<>();
        int[] layers = new int[tensors.size()];
        lngd_plan plan = new lngd_plan();
        try (lngd_binding bindings = new lngd_binding(tensors.size())) {
            for (int i = 0; i < layers.length; i++) {
                LayerTensors t = Check.notNull("tensors[" + i + "]", tensors.get(i));
                layers[i] = t.layer();
                LayerSpec spec = optimizer.spec(t.layer());
                // Not position(i): functions that take any Pointer, such as memset, would count it
                // in bytes.
                lngd_binding binding = bindings.getPointer(i);
                Pointer.memset(binding, 0, binding.sizeof());
                binding.layer(t.layer());
                bindMatrix("weights", spec, t.weights(), binding.weights(), arrays, extents);
                bindMatrix(
                        "weightGradients",
                        spec,
                        t.weightGradients(),
                        binding.weight_gradients(),
                        arrays,
                        extents);
                if (spec.bias()) {
                    bindVector("bias", spec, t.bias(), binding.bias(), arrays, extents);
                    bindVector(
                            "biasGradients",
                            spec,
                            t.biasGradients(),
                            binding.bias_gradients(),
                            arrays,
                            extents);
                } else if (t.bias() != null || t.biasGradients() != null) {
                    throw Check.bad(
                            "bias of layer \"" + spec.name() + "\"",
                            "an array",
                            "null: the layer has no bias");
                }
            }
            optimizer.call(
                    o -> lngd.lngd_plan_create(o, bindings, layers.length, mode.code(), plan));
        } finally {
            extents.forEach(Pointer::close);
        }
        return new StepPlan(optimizer, plan, layers, arrays);
    }

    private static void bindMatrix(
            String argument,
            LayerSpec spec,
            INDArray a,
            lngd_tensor to,
            List<INDArray> arrays,
            List<LongPointer> extents) {
        Views.matrix(argument, spec, a, spec.outputs(), spec.inputs());
        bind(a, to, arrays, extents, a.size(0), a.size(1), a.stride(0), a.stride(1));
    }

    private static void bindVector(
            String argument,
            LayerSpec spec,
            INDArray a,
            lngd_tensor to,
            List<INDArray> arrays,
            List<LongPointer> extents) {
        Views.vector(argument, spec, a, spec.outputs());
        bind(a, to, arrays, extents, spec.outputs(), Views.vectorStride(a));
    }

    private static void bind(
            INDArray a,
            lngd_tensor to,
            List<INDArray> arrays,
            List<LongPointer> extents,
            long... sizesAndStrides) {
        LongPointer memory = new LongPointer(sizesAndStrides);
        extents.add(memory);
        NativeStructs.fill(to, memory, sizesAndStrides.length / 2);
        to.data(new AddressPointer().at(Views.address(a)));
        arrays.add(a);
    }

    /**
     * One step of all layers of the plan: running averages where statistics are due and observed,
     * inverses where due, direction, layer rate, trust ratio, momentum, weight decay, update,
     * averaged weights. Numerical trouble is no exception: the layer does not move, and {@link
     * LngdOptimizer#health} tells. Allocates nothing.
     *
     * @param factor value of the schedule, which multiplies the learning rate; finite, at least 0
     * @throws LngdStateException while averages are swapped in
     * @throws org.lngd4j.nativelib.LngdArgumentException if the factor is not allowed, or samples
     *     are needed
     */
    public void step(double factor) {
        run(factor, null);
    }

    /**
     * The same with per-sample data for {@link LayerRate#EMPIRICAL}.
     *
     * @param factor value of the schedule, which multiplies the learning rate; finite, at least 0
     * @param data one entry for each layer, in the order of the plan; all with the same number of
     *     samples or not, as the layers have it
     * @throws LngdStateException while averages are swapped in
     * @throws org.lngd4j.nativelib.LngdArgumentException for a wrong type or shape
     */
    public void step(double factor, List<LayerSamples> data) {
        if (Check.notNull("data", data).size() != layers.length) {
            throw Check.bad(
                    "the number of samples entries",
                    data.size(),
                    layers.length + ", one for each layer of the plan");
        }
        for (int i = 0; i < layers.length; i++) {
            LayerSpec spec = optimizer.spec(layers[i]);
            LayerSamples s = Check.notNull("samples entry", data.get(i));
            Views.matrix("inputs of the samples", spec, s.inputs(), -1, spec.inputs());
            Views.matrix(
                    "deltas of the samples", spec, s.deltas(), s.inputs().size(0), spec.outputs());
        }
        run(factor, data);
    }

    private void run(double factor, List<LayerSamples> data) {
        optimizer.handle.enter();
        int status;
        try {
            checkUsable();
            if (data != null) {
                if (samples == null) {
                    samples = new SampleStructs(layers.length);
                }
                samples.set(data);
            }
            status = lngd.lngd_step(pointer, factor, data == null ? null : samples.structs());
        } finally {
            optimizer.handle.exit();
        }
        Reference.reachabilityFence(data);
        Reference.reachabilityFence(this);
        Status.check(status);
    }

    /**
     * Exchanges the weights of this plan's arrays with the averaged weights that the optimizer
     * keeps; a second call exchanges them back, to the same bits. Before the first step nothing is
     * exchanged.
     *
     * @return whether the averages are in the arrays now
     * @throws LngdStateException where averaging is off
     */
    public boolean swapAverages() {
        int[] swapped = new int[1];
        optimizer.handle.enter();
        try {
            checkUsable();
            Status.check(lngd.lngd_swap_averages(pointer, swapped));
        } finally {
            optimizer.handle.exit();
        }
        Reference.reachabilityFence(this);
        return swapped[0] != 0;
    }

    /**
     * The native side writes to the addresses it was given: they must still be those of the arrays.
     */
    private void checkUsable() {
        if (closed) {
            throw new LngdHandleException("the plan was closed");
        }
        for (int i = 0; i < arrays.length; i++) {
            if (arrays[i].wasClosed() || Views.address(arrays[i]) != addresses[i]) {
                throw new LngdStateException(
                        "an array of the plan was closed or has moved since the plan was made");
            }
        }
    }

    /**
     * The optimizer that this plan belongs to.
     *
     * @return the optimizer
     */
    public LngdOptimizer optimizer() {
        return optimizer;
    }

    /**
     * Frees the plan; its arrays stay as they are. A second call, or one after the optimizer's
     * close, does nothing.
     */
    @Override
    public void close() {
        closed = true;
        registration.close();
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder("StepPlan[");
        for (int i = 0; i < layers.length; i++) {
            text.append(i == 0 ? "" : ", ").append(optimizer.spec(layers[i]).name());
        }
        return text.append(closed ? ", closed]" : "]").toString();
    }
}
