// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.IntPointer;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_plan;
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

    /** Kept reachable, since the native plan has their addresses. */
    private final List<PlanTensors> tensors;

    /** Those that ND4J could move or close. */
    private final INDArray[] arrays;

    private final long[] addresses;
    private final Leaks.Registration registration;
    private final IntPointer allowed = new IntPointer(1);
    private SampleStructs samples;
    private boolean closed;

    StepPlan(LngdOptimizer optimizer, lngd_plan pointer, List<? extends PlanTensors> tensors) {
        this.optimizer = optimizer;
        this.pointer = pointer;
        this.layers = tensors.stream().mapToInt(PlanTensors::layer).toArray();
        this.tensors = List.copyOf(tensors);
        this.arrays = PlanBindings.arrays(tensors);
        this.addresses = Arrays.stream(arrays).mapToLong(Views::address).toArray();
        OptimizerHandle handle = optimizer.handle;
        this.registration =
                Leaks.register(
                        this,
                        "StepPlan of " + layers.length + " layers",
                        () -> handle.release(o -> lngd.lngd_plan_destroy(pointer)));
    }

    /**
     * One step of all layers of the plan: running averages where statistics are due and observed,
     * inverses where due, direction, layer rate, trust ratio, momentum, weight decay, update,
     * averaged weights. Numerical trouble is no exception: the layer does not move, and {@link
     * LngdOptimizer#health} tells. Allocates nothing.
     *
     * @param factor value of the schedule, which multiplies the learning rate; finite, at least 0
     * @throws LngdStateException while averages are swapped in, and in a capture of a CUDA graph
     *     that is not possible
     * @throws org.lngd4j.nativelib.LngdArgumentException if the factor is not allowed, or samples
     *     are needed
     * @throws org.lngd4j.nativelib.LngdDeviceException if the device fails; nothing has moved then,
     *     and the optimizer can be used on
     * @throws org.lngd4j.nativelib.LngdDeviceLostException if the device failed for good; close the
     *     optimizer
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
    public void step(double factor, List<? extends StepSamples> data) {
        if (Check.notNull("data", data).size() != layers.length) {
            throw Check.bad(
                    "the number of samples entries",
                    data.size(),
                    layers.length + ", one for each layer of the plan");
        }
        for (int i = 0; i < layers.length; i++) {
            LayerSpec spec = optimizer.spec(layers[i]);
            check(spec, Check.notNull("samples entry", data.get(i)));
        }
        run(factor, data);
    }

    private static void check(LayerSpec spec, StepSamples samples) {
        String inputs = "inputs of the samples";
        String deltas = "deltas of the samples";
        if (samples instanceof LayerSamples s) {
            Views.inputs(inputs, spec, s.inputs());
            Views.outputs(deltas, spec, s.deltas(), s.inputs().size(0));
        } else if (samples instanceof DeviceLayerSamples s) {
            Views.inputs(inputs, spec, s.inputs());
            Views.outputs(deltas, spec, s.deltas(), s.inputs().size(0));
        }
    }

    private void run(double factor, List<? extends StepSamples> data) {
        optimizer.handle.enter();
        int status;
        try {
            checkUsable();
            if (data != null && samples == null) {
                samples = new SampleStructs(layers.length);
            }
            status = lngd.lngd_step(pointer, factor, data == null ? null : samples.set(data));
        } finally {
            optimizer.handle.exit();
        }
        Reference.reachabilityFence(data);
        Reference.reachabilityFence(this);
        Status.check(status);
    }

    /**
     * Takes the running averages and inverses of the coming step now, where they are due; the step
     * then leaves them out. To be called between the last observe and the end of the backward pass,
     * so that on CUDA they run beside it. Optional: the results are the same bits without it.
     * Layers that are due and were not observed yet are left to the step; observing a layer between
     * this call and its step does nothing.
     *
     * @throws LngdStateException while averages are swapped in
     * @throws org.lngd4j.nativelib.LngdDeviceException if the device fails
     */
    public void refresh() {
        optimizer.handle.enter();
        int status;
        try {
            checkUsable();
            status = lngd.lngd_refresh(pointer);
        } finally {
            optimizer.handle.exit();
        }
        Reference.reachabilityFence(this);
        Status.check(status);
    }

    /**
     * Counts a step that a CUDA graph is about to take, and hands the graph its factor and the
     * present settings. The graph was captured by the caller round {@link #step(double)} on the
     * stream of {@link LngdOptimizer#stream(long)}, with all tensors of the plan in memory of the
     * device. Then, for each step: where this returns true, launch the graph on that stream; where
     * it returns false, nothing was done, and the step has to be taken by {@code step}, since
     * statistics or inverses are due, a layer was observed or has no inverse yet, or there is no
     * graph on this device.
     *
     * @param factor value of the schedule, which multiplies the learning rate; finite, at least 0
     * @return whether the graph may be launched
     * @throws LngdStateException while averages are swapped in or the stream is being captured
     * @throws org.lngd4j.nativelib.LngdArgumentException if the factor is not allowed
     */
    public boolean replay(double factor) {
        optimizer.handle.enter();
        int status;
        boolean result;
        try {
            checkUsable();
            status = lngd.lngd_replay(pointer, factor, allowed);
            result = allowed.get() != 0;
        } finally {
            optimizer.handle.exit();
        }
        Reference.reachabilityFence(this);
        Status.check(status);
        return result;
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
