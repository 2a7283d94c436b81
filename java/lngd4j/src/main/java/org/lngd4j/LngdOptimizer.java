// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.lang.ref.Reference;
import java.util.List;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;
import org.lngd4j.nativelib.LngdBusyException;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_optimizer;

/**
 * A layer-wise natural gradient optimizer for the layers of one network. The order of calls for one
 * training step is
 *
 * <ol>
 *   <li>{@link #observe} in the forward pass, for each layer where {@link #needsStatistics} asks;
 *   <li>{@link StepPlan#step(double)} after the backward pass: gradients in, update out, all layers
 *       in one call.
 * </ol>
 *
 * <pre>{@code
 * try (LngdOptimizer optimizer = LngdOptimizer.create(LngdOptions.recipe(steps).build(), layers);
 *         StepPlan plan = optimizer.plan(tensors, UpdateMode.WEIGHTS)) {
 *     for (long t = 0; t < steps; t++) {
 *         // forward: optimizer.observe(i, inputs, preActivations, Signal.PRE_ACTIVATIONS); backward: fill the gradients
 *         plan.step(optimizer.schedule(t, epoch));
 *     }
 * }
 * }</pre>
 *
 * <p>Tensors are float32 with any strides, in any kind of memory: whatever implements {@link
 * TensorView}. They are read and written in place on the CPU; on a GPU those in its memory are used
 * where they are, those of the host are copied to it and back. {@code observe} and {@code step}
 * allocate nothing on the Java heap.
 *
 * <p>May be used from any thread, but by one at a time: a call that meets another one in progress
 * throws {@link org.lngd4j.nativelib.LngdBusyException}. After {@link #close()} every call throws
 * {@link org.lngd4j.nativelib.LngdHandleException}. On a GPU every call may throw {@link
 * org.lngd4j.nativelib.LngdDeviceException}, after which the optimizer can be used on, or {@link
 * org.lngd4j.nativelib.LngdDeviceLostException}, after which all that is left is to close it.
 */
public final class LngdOptimizer extends OptimizerScaling implements AutoCloseable {
    private final Leaks.Registration registration;
    private final Device device;
    private final AddressPointer inputsPointer = new AddressPointer();
    private final AddressPointer signalPointer = new AddressPointer();
    private final IntPointer bits = new IntPointer(1).retainReference();
    private TensorStruct inputsStruct;
    private TensorStruct signalStruct;

    private LngdOptimizer(LngdOptions options, List<LayerSpec> layers, lngd_optimizer pointer) {
        super(options, layers, pointer);
        this.device = NativeStructs.device(pointer);
        this.registration =
                Leaks.register(
                        this, "LngdOptimizer of " + layers.size() + " layers", handle::destroy);
    }

    /**
     * Makes an optimizer.
     *
     * @param options what it shall do
     * @param layers its layers in forward order, at least one
     * @return the optimizer; close it
     * @throws org.lngd4j.nativelib.LngdNativeLoadException if the native library cannot be loaded
     * @throws org.lngd4j.nativelib.LngdBackendException if the device or one of its libraries is
     *     missing
     * @throws org.lngd4j.nativelib.LngdArgumentException if something is null, empty or does not
     *     fit together
     */
    public static LngdOptimizer create(LngdOptions options, List<LayerSpec> layers) {
        Check.notNull("options", options);
        Check.layers(layers);
        return new LngdOptimizer(options, layers, NativeStructs.create(options, layers));
    }

    /**
     * Whether the next step of a layer takes statistics, so that {@link #observe} should be called
     * before it.
     *
     * @param layer index of the layer, from 0
     * @return whether to observe; where it is false, observing is harmless and ignored
     */
    public boolean needsStatistics(int layer) {
        return (needs(layer) & lngd.LNGD_NEEDS_STATISTICS) != 0;
    }

    /**
     * Whether the next step of a layer needs {@link LayerSamples}.
     *
     * @param layer index of the layer, from 0
     * @return whether {@link StepPlan#step(double, List)} must be called with samples
     */
    public boolean needsDeltas(int layer) {
        return (needs(layer) & lngd.LNGD_NEEDS_DELTAS) != 0;
    }

    /**
     * Whether a {@link StepPlan#refresh()} has left a layer's inverses to their owner, or has
     * computed them here for the others: they have to be broadcast before its step. The same answer
     * on all ranks. See {@link #shareInverses}.
     *
     * @param layer index of the layer, from 0
     * @return whether it needs {@link #inversesReceived()}
     */
    public boolean needsInverses(int layer) {
        return (needs(layer) & lngd.LNGD_NEEDS_INVERSES) != 0;
    }

    private int needs(int layer) {
        spec(layer);
        lngd_optimizer optimizer = handle.enter();
        int result;
        try {
            Status.check(lngd.lngd_needs(optimizer, layer, bits));
            result = bits.get();
        } finally {
            handle.exit();
        }
        Reference.reachabilityFence(this);
        return result;
    }

    /**
     * Adds a batch, or a part of one, to the statistics of the coming update of a layer. Several
     * calls before one step add up. A call where no statistics are due does nothing. Keeps nothing
     * and allocates nothing.
     *
     * <p>Tensors in host memory have been read when this returns. Those in memory of the device are
     * read in the order of {@link #stream(long)} and must stay unchanged until the next step of
     * this layer was called: what the caller's stream does after that step comes after the last
     * read.
     *
     * @param layer index of the layer, from 0
     * @param inputs inputs of the layer, N x d_w, without the constant 1 of a bias; a convolution's
     *     are N x channels x height x width (1-D: N x channels x length), an embedding's N x T
     *     indices. Any strides: images in NHWC order are passed as their permutation
     * @param signal what {@code kind} says, N x m; a convolution's N x m x height x width of its
     *     output positions, an embedding's N x m x T; any strides
     * @param kind what the second tensor holds
     * @throws org.lngd4j.nativelib.LngdArgumentException for another shape, or memory that the
     *     device does not reach
     * @throws org.lngd4j.nativelib.LngdDeviceException if the device fails
     */
    public void observe(int layer, TensorView inputs, TensorView signal, Signal kind) {
        LayerSpec spec = spec(layer);
        Check.notNull("kind", kind);
        TensorChecks.inputs("inputs", spec, inputs);
        TensorChecks.outputs("signal", spec, signal, inputs.size(0));
        boolean matrices =
                !spec.isPositional()
                        && inputs.kind() == MemoryKind.HOST
                        && signal.kind() == MemoryKind.HOST;
        lngd_optimizer optimizer = handle.enter();
        int status;
        try {
            status =
                    matrices
                            ? observeMatrices(optimizer, layer, inputs, signal, kind)
                            : observeTensors(optimizer, layer, inputs, signal, kind);
        } finally {
            handle.exit();
        }
        Reference.reachabilityFence(inputs);
        Reference.reachabilityFence(signal);
        Reference.reachabilityFence(this);
        Status.check(status);
    }

    /**
     * Matrices in host memory: numbers instead of structs, for the JNI call is most of the cost.
     */
    private int observeMatrices(
            lngd_optimizer optimizer,
            int layer,
            TensorView inputs,
            TensorView signal,
            Signal kind) {
        return lngd.lngd_observe_strided(
                optimizer,
                layer,
                inputs.size(0),
                inputsPointer.at(inputs.address()),
                inputs.stride(0),
                inputs.stride(1),
                signalPointer.at(signal.address()),
                signal.stride(0),
                signal.stride(1),
                kind.code());
    }

    private int observeTensors(
            lngd_optimizer optimizer,
            int layer,
            TensorView inputs,
            TensorView signal,
            Signal kind) {
        if (inputsStruct == null) {
            inputsStruct = new TensorStruct();
            signalStruct = new TensorStruct();
        }
        return lngd.lngd_observe(
                optimizer, layer, inputsStruct.set(inputs), signalStruct.set(signal), kind.code());
    }

    /**
     * Drops what all layers have observed and no step has taken: the forward pass of an evaluation,
     * one whose backward pass failed, a gradient check. They then ask for statistics as if they had
     * seen nothing. Running averages are left alone.
     *
     * @throws org.lngd4j.nativelib.LngdStateException while the stream is being captured
     * @throws org.lngd4j.nativelib.LngdDeviceException if the device fails
     */
    public void discard() {
        call(optimizer -> lngd.lngd_discard(optimizer, lngd.LNGD_ALL_LAYERS));
    }

    /**
     * The same for one layer.
     *
     * @param layer index of the layer, from 0
     */
    public void discard(int layer) {
        spec(layer);
        call(optimizer -> lngd.lngd_discard(optimizer, layer));
    }

    /**
     * Sets the CUDA stream of the caller. Tensors in memory of the device are read and written in
     * its order, as if each call of this optimizer were a kernel launched there; the host waits for
     * nothing but tensors in host memory. Before the first call it is a stream of the optimizer's
     * own, which CUDA orders with its default stream and with no other. Changing it orders the new
     * stream after what was done on the old one.
     *
     * @param stream a {@code cudaStream_t} or {@code CUstream}, as an address; it has to belong to
     *     the optimizer's device and to live until another is set or the optimizer is closed. 0:
     *     CUDA's default stream
     * @throws org.lngd4j.nativelib.LngdArgumentException for anything but 0 on the CPU, which has
     *     no streams
     * @throws org.lngd4j.nativelib.LngdStateException while either stream is being captured
     * @throws org.lngd4j.nativelib.LngdDeviceException if the device fails
     */
    public void stream(long stream) {
        call(optimizer -> lngd.lngd_set_stream(optimizer, new AddressPointer().at(stream)));
    }

    /**
     * The same for a JavaCPP pointer whose address is the stream, as {@code
     * org.bytedeco.cuda.cudart.CUstream_st} is. Only its address is used.
     *
     * @param stream the stream; a null pointer is CUDA's default stream
     */
    public void stream(Pointer stream) {
        stream(Check.notNull("stream", stream).address());
    }

    /**
     * Waits until everything that was asked of this optimizer is done, and throws what failed
     * meanwhile.
     *
     * @throws org.lngd4j.nativelib.LngdDeviceException if the device failed
     * @throws org.lngd4j.nativelib.LngdDeviceLostException if it failed for good
     */
    public void synchronize() {
        call(lngd::lngd_synchronize);
    }

    /**
     * Memory of the device that this optimizer runs on (of the host for the CPU), zeroed.
     *
     * @param floats how many, at least 1
     * @return the memory; close it, or close the optimizer
     * @throws org.lngd4j.nativelib.LngdOutOfMemoryException if the device has not got so much
     */
    public DeviceBuffer allocate(long floats) {
        return DeviceBuffer.allocate(this, floats);
    }

    /**
     * The device that this optimizer runs on.
     *
     * @return what {@link Device#AUTO} has become, else what the options say
     */
    public Device device() {
        return device;
    }

    /**
     * The index of the device that this optimizer runs on.
     *
     * @return as in the options; 0 on the CPU
     */
    public int deviceIndex() {
        return device == Device.CPU ? 0 : options().deviceIndex();
    }

    /**
     * Prepares steps over some layers: checks the tensors once, so that a step checks their
     * addresses only and allocates nothing.
     *
     * @param tensors tensors of the layers, each layer at most once; the plan keeps them, and they
     *     must keep their memory, or be replaced by {@link StepPlan#rebind}
     * @param mode how the update is handed out
     * @return the plan; close it, or close the optimizer
     * @throws org.lngd4j.nativelib.LngdArgumentException for another shape, memory that the device
     *     does not reach, or an overlap
     */
    public StepPlan plan(List<LayerTensors> tensors, UpdateMode mode) {
        return PlanTensors.plan(this, tensors, mode);
    }

    /**
     * Applies the schedules of the options for a moment: sets damping and intervals that have a
     * schedule, where they change, and tells the factor for {@link StepPlan#step(double)}.
     *
     * @param step steps done so far, from 0
     * @param epoch whole epochs done so far, from 0
     * @return the factor of the learning rate
     * @throws org.lngd4j.nativelib.LngdArgumentException if a schedule gives a value that is not
     *     allowed
     */
    public double schedule(long step, int epoch) {
        return scheduled.apply(this, step, epoch);
    }

    /**
     * Makes the run longer than it was told, before its end or after it: {@link #options()} become
     * {@link LngdOptions#extended}, and from the next step on the schedules are theirs. Settings
     * that were changed by {@link #set} meanwhile keep their ratio (tau) or their value (the
     * intervals). To be called between two steps. A saved state has the settings, and not the
     * length: see {@link #restoreState(byte[], long)}.
     *
     * @param steps more steps, at least 1; calls add up
     * @throws org.lngd4j.nativelib.LngdArgumentException if {@code steps} is out of its range, or
     *     the schedule has no end; nothing is changed then
     */
    public void extend(long steps) {
        LngdOptions before = options();
        before.extended(steps); // the range, for this call's own argument
        LngdOptions after = extendedBy(extension() + steps);
        if (after.trustRatio() != before.trustRatio()) {
            double now = get(Setting.TRUST_RATIO);
            set(
                    Setting.TRUST_RATIO,
                    now == before.trustRatio()
                            ? after.trustRatio()
                            : now * (after.trustRatio() / before.trustRatio()));
        }
        change(
                Setting.STATISTICS_INTERVAL,
                before.statisticsInterval(),
                after.statisticsInterval());
        change(Setting.INVERSE_INTERVAL, before.inverseInterval(), after.inverseInterval());
        follow(after, extension() + steps);
    }

    private void change(Setting setting, int before, int after) {
        if (after != before && get(setting) == before) {
            set(setting, after);
        }
    }

    /**
     * Changes a setting from the next step on.
     *
     * @param setting which one
     * @param value its value, in the range that {@link LngdOptions.Builder} has for it
     * @throws org.lngd4j.nativelib.LngdArgumentException if the value is out of range; nothing is
     *     changed then
     */
    public void set(Setting setting, double value) {
        Check.notNull("setting", setting);
        lngd_optimizer optimizer = handle.enter();
        try {
            Status.check(lngd.lngd_set(optimizer, setting.code(), value));
        } finally {
            handle.exit();
        }
        Reference.reachabilityFence(this);
    }

    /**
     * Frees the native memory, that of the plans too. A second call does nothing.
     *
     * @throws LngdBusyException if another thread is inside a call; nothing is freed then
     */
    @Override
    public void close() {
        if (!handle.destroy()) {
            throw new LngdBusyException("the optimizer is in use by another thread: not closed");
        }
        registration.close();
    }

    @Override
    public String toString() {
        return "LngdOptimizer[layers=" + layers() + ", " + options() + "]";
    }
}
