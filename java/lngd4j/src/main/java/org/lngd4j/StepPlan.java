// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.lang.ref.Reference;
import java.util.List;
import org.bytedeco.javacpp.IntPointer;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_plan;

/**
 * Steps over some layers of an {@link LngdOptimizer}, prepared once. Keeps the tensors that it was
 * made with, which must keep their memory: a step on one that lies elsewhere now is refused, until
 * {@link #rebind} has told the plan. The rule of one thread at a time is that of the optimizer,
 * whose close ends its plans too.
 */
public final class StepPlan implements AutoCloseable {
    private final LngdOptimizer optimizer;
    private final lngd_plan pointer;
    private final PlanTensors tensors;
    private final Leaks.Registration registration;
    private final IntPointer allowed = new IntPointer(1).retainReference();
    private SampleStructs samples;
    private boolean closed;

    StepPlan(LngdOptimizer optimizer, lngd_plan pointer, PlanTensors tensors) {
        this.optimizer = optimizer;
        this.pointer = pointer;
        this.tensors = tensors;
        OptimizerHandle handle = optimizer.handle;
        this.registration =
                Leaks.register(
                        this,
                        "StepPlan of " + tensors.count() + " layers",
                        () -> handle.release(o -> lngd.lngd_plan_destroy(pointer)));
    }

    /**
     * Tells the plan where its tensors lie now, as a framework needs that frees its gradients after
     * each step. Cheap enough for every step: checks, and one native call that neither plans nor
     * allocates. The plan keeps the new tensors in place of the old ones.
     *
     * <p>Tensors in memory of the device: in the order of the optimizer's stream, so that steps
     * before it still use the old addresses, which have to stay valid until the device is past
     * them, and graphs launched after it use the new ones.
     *
     * @param tensors the same layers in the order of the plan, each tensor of the same shape,
     *     strides and kind of memory as the plan was made with; what lies where it lay may be the
     *     same view. Weights are taken as they lie at the new address
     * @throws org.lngd4j.nativelib.LngdArgumentException for another layer, shape, stride or kind
     *     of memory, or an overlap; nothing is changed then
     * @throws LngdStateException while the stream is being captured
     * @throws org.lngd4j.nativelib.LngdDeviceException if the device fails; the plan then takes no
     *     step until a rebind has succeeded
     */
    public void rebind(List<LayerTensors> tensors) {
        optimizer.handle.enter();
        try {
            checkOpen();
            Status.check(this.tensors.rebind(optimizer, pointer, tensors));
            this.tensors.take();
        } finally {
            optimizer.handle.exit();
        }
        Reference.reachabilityFence(tensors);
        Reference.reachabilityFence(this);
    }

    /**
     * One step of all layers of the plan: running averages where statistics are due and observed,
     * inverses where due, direction, layer rate, trust ratio, momentum, weight decay, update,
     * averaged weights. Numerical trouble is no exception: the layer does not move, and {@link
     * LngdOptimizer#health} tells. Allocates nothing.
     *
     * @param factor value of the schedule, which multiplies the learning rate; finite, at least 0
     * @throws LngdStateException while averages are swapped in, where a tensor has moved since the
     *     plan was made or rebound, and in a capture of a CUDA graph that is not possible
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
    public void step(double factor, List<LayerSamples> data) {
        int count = tensors.count();
        if (Check.notNull("data", data).size() != count) {
            throw Check.bad(
                    "the number of samples entries",
                    data.size(),
                    count + ", one for each layer of the plan");
        }
        for (int i = 0; i < count; i++) {
            LayerSpec spec = optimizer.spec(tensors.layer(i));
            LayerSamples entry = Check.notNull("samples entry", data.get(i));
            TensorChecks.inputs("inputs of the samples", spec, entry.inputs());
            TensorChecks.outputs(
                    "deltas of the samples", spec, entry.deltas(), entry.inputs().size(0));
        }
        run(factor, data);
    }

    private void run(double factor, List<LayerSamples> data) {
        optimizer.handle.enter();
        int status;
        try {
            checkUsable(true);
            if (data != null && samples == null) {
                samples = new SampleStructs(tensors.count());
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
     * <p>Where ranks share inverses ({@link LngdOptimizer#shareInverses}) it is needed before a
     * step for which inverses are due, leaves no layer to the step, and takes the inverses of the
     * layers that this rank owns.
     *
     * @throws LngdStateException while averages are swapped in, and while the sums of other ranks
     *     are missing
     * @throws org.lngd4j.nativelib.LngdDeviceException if the device fails
     */
    public void refresh() {
        optimizer.handle.enter();
        int status;
        try {
            checkOpen(); // reads no tensor of the plan: gradients need not be there yet
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
            checkUsable(true);
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
     * Exchanges the weights of this plan with the averaged weights that the optimizer keeps; a
     * second call exchanges them back, to the same bits. Before the first step nothing is
     * exchanged.
     *
     * @return whether the averages are in the weights now
     * @throws LngdStateException where averaging is off
     */
    public boolean swapAverages() {
        int[] swapped = new int[1];
        optimizer.handle.enter();
        try {
            checkUsable(false);
            Status.check(lngd.lngd_swap_averages(pointer, swapped));
        } finally {
            optimizer.handle.exit();
        }
        Reference.reachabilityFence(this);
        return swapped[0] != 0;
    }

    /**
     * The norm of all gradients of the plan in its last step or replay, before they were clipped,
     * and divided by the scale of {@link LngdOptimizer#gradientScale(double)}. Waits for what was
     * asked of the optimizer.
     *
     * @return the norm; NaN or infinite where a gradient was, and nothing has moved then
     * @throws LngdStateException where {@link LngdOptions#gradientClipping()} is 0, before the
     *     first step, and while the stream is being captured
     */
    public double gradientNorm() {
        double[] norm = new double[1];
        optimizer.handle.enter();
        try {
            checkOpen();
            Status.check(lngd.lngd_gradient_norm(pointer, norm));
        } finally {
            optimizer.handle.exit();
        }
        Reference.reachabilityFence(this);
        return norm[0];
    }

    private void checkOpen() {
        if (closed) {
            throw new LngdHandleException("the plan was closed");
        }
    }

    private void checkUsable(boolean gradients) {
        checkOpen();
        tensors.checkUnmoved(gradients);
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
     * Frees the plan; its tensors stay as they are. A second call, or one after the optimizer's
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
        for (int i = 0; i < tensors.count(); i++) {
            text.append(i == 0 ? "" : ", ").append(optimizer.spec(tensors.layer(i)).name());
        }
        return text.append(closed ? ", closed]" : "]").toString();
    }
}
