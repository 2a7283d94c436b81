// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.lang.ref.Reference;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.LongPointer;
import org.lngd4j.nativelib.LngdBusyException;
import org.lngd4j.nativelib.LngdStateException;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_health;
import org.lngd4j.nativelib.global.lngd_memory;
import org.lngd4j.nativelib.global.lngd_optimizer;
import org.lngd4j.nativelib.global.lngd_times;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

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
 * <p>Arrays are float32 in host memory with any order, offset and strides; they are read and
 * written in place. {@code observe} and {@code step} allocate nothing on the Java heap.
 *
 * <p>May be used from any thread, but by one at a time: a call that meets another one in progress
 * throws {@link org.lngd4j.nativelib.LngdBusyException}. After {@link #close()} every call throws
 * {@link org.lngd4j.nativelib.LngdHandleException}.
 */
public final class LngdOptimizer implements AutoCloseable {
    final OptimizerHandle handle;
    private final LngdOptions options;
    private final LayerSpec[] layers;
    private final List<LayerSpec> layerList;
    private final Leaks.Registration registration;
    private final AddressPointer inputsPointer = new AddressPointer();
    private final AddressPointer signalPointer = new AddressPointer();
    private final IntPointer bits = new IntPointer(1);
    private final ScheduledSettings scheduled;

    private LngdOptimizer(LngdOptions options, List<LayerSpec> layers, lngd_optimizer pointer) {
        this.options = options;
        this.layerList = List.copyOf(layers);
        this.layers = layers.toArray(new LayerSpec[0]);
        this.scheduled = new ScheduledSettings(options);
        OptimizerHandle made = new OptimizerHandle(pointer);
        this.handle = made;
        this.registration =
                Leaks.register(
                        this, "LngdOptimizer of " + layers.size() + " layers", made::destroy);
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
        Check.notNull("layers", layers);
        if (layers.isEmpty()) {
            throw Check.bad("layers", "empty", "one layer or more");
        }
        for (int i = 0; i < layers.size(); i++) {
            Check.notNull("layers[" + i + "]", layers.get(i));
        }
        Views.checkBackend();
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
     * calls before one step add up. A call where no statistics are due does nothing. Copies
     * nothing, keeps nothing, allocates nothing.
     *
     * @param layer index of the layer, from 0
     * @param inputs inputs of the layer, N x d_w float32, without the constant 1 of a bias; any
     *     view
     * @param signal what {@code kind} says, N x m float32; any view
     * @param kind what the second matrix holds
     * @throws org.lngd4j.nativelib.LngdArgumentException for another type or shape
     */
    public void observe(int layer, INDArray inputs, INDArray signal, Signal kind) {
        LayerSpec spec = spec(layer);
        Check.notNull("kind", kind);
        Views.matrix("inputs", spec, inputs, -1, spec.inputs());
        Views.matrix("signal", spec, signal, inputs.size(0), spec.outputs());
        lngd_optimizer optimizer = handle.enter();
        int status;
        try {
            status =
                    lngd.lngd_observe_strided(
                            optimizer,
                            layer,
                            inputs.size(0),
                            inputsPointer.at(Views.address(inputs)),
                            inputs.stride(0),
                            inputs.stride(1),
                            signalPointer.at(Views.address(signal)),
                            signal.stride(0),
                            signal.stride(1),
                            kind.code());
        } finally {
            handle.exit();
        }
        Reference.reachabilityFence(inputs);
        Reference.reachabilityFence(signal);
        Reference.reachabilityFence(this);
        Status.check(status);
    }

    /**
     * Prepares steps over some layers: checks the arrays once, so that a step neither checks nor
     * allocates.
     *
     * @param tensors arrays of the layers, each layer at most once; the plan keeps them, and they
     *     must keep their memory
     * @param mode how the update is handed out
     * @return the plan; close it, or close the optimizer
     * @throws org.lngd4j.nativelib.LngdArgumentException for a wrong type, shape or overlap
     */
    public StepPlan plan(List<LayerTensors> tensors, UpdateMode mode) {
        return StepPlan.create(this, tensors, mode);
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
     * Tells a setting.
     *
     * @param setting which one
     * @return its value now
     */
    public double get(Setting setting) {
        Check.notNull("setting", setting);
        double[] value = new double[1];
        call(optimizer -> lngd.lngd_get(optimizer, setting.code(), value));
        return value[0];
    }

    /**
     * How a layer is doing.
     *
     * @param layer index of the layer, from 0
     * @return its health after the last step
     */
    public LayerHealth health(int layer) {
        spec(layer);
        try (lngd_health health = new lngd_health()) {
            health.struct_size(health.sizeof());
            call(optimizer -> lngd.lngd_layer_health(optimizer, layer, health));
            return LayerHealth.of(health);
        }
    }

    /**
     * How much native memory this optimizer holds.
     *
     * @return bytes by use
     */
    public MemoryReport memory() {
        try (lngd_memory m = new lngd_memory()) {
            m.struct_size(m.sizeof());
            call(optimizer -> lngd.lngd_memory_report(optimizer, m));
            return new MemoryReport(
                    m.factors(),
                    m.inverses(),
                    m.momentum(),
                    m.averages(),
                    m.workspace(),
                    m.total());
        }
    }

    /**
     * Where the time went.
     *
     * @return nanoseconds by kernel since this optimizer was made
     */
    public KernelTimes times() {
        try (lngd_times t = new lngd_times()) {
            t.struct_size(t.sizeof());
            call(optimizer -> lngd.lngd_profile(optimizer, t));
            return new KernelTimes(
                    t.statistics(), t.inverse(), t.precondition(), t.rate(), t.update());
        }
    }

    /**
     * Everything that the next steps depend on, as bytes: averages, inverses, momentum, counters,
     * settings. Restored into an optimizer of the same options and layers on the same backend,
     * training goes on with the same bits.
     *
     * @return the state
     * @throws LngdStateException between {@link #observe} and the step, and while averages are
     *     swapped in
     */
    public byte[] saveState() {
        long[] size = new long[1];
        call(optimizer -> lngd.lngd_state_size(optimizer, size));
        if (size[0] > Integer.MAX_VALUE - 8) {
            throw new LngdStateException(
                    "the state has " + size[0] + " bytes, more than a Java array can hold");
        }
        try (BytePointer buffer = new BytePointer(size[0])) {
            call(optimizer -> lngd.lngd_state_save(optimizer, buffer, size[0], size));
            byte[] state = new byte[Math.toIntExact(size[0])];
            buffer.get(state);
            return state;
        }
    }

    /**
     * Goes back to a saved state. Plans stay valid.
     *
     * @param state what {@link #saveState()} gave
     * @throws org.lngd4j.nativelib.LngdStateDataException if the data are truncated, corrupt, or of
     *     another version or configuration; nothing is changed then
     */
    public void restoreState(byte[] state) {
        Check.notNull("state", state);
        // JavaCPP makes a null pointer of an empty array, which is another error than "truncated".
        try (BytePointer buffer = new BytePointer(Math.max(1, state.length))) {
            buffer.put(state, 0, state.length);
            call(optimizer -> lngd.lngd_state_restore(optimizer, buffer, state.length));
        }
        scheduled.forget();
    }

    /**
     * Reads an array of a layer.
     *
     * @param layer index of the layer, from 0
     * @param field which array
     * @return a new float32 array in 'c' order, outside of any workspace
     * @throws LngdStateException if there is nothing to read yet
     */
    public INDArray read(int layer, Field field) {
        long[] shape = Check.notNull("field", field).shape(spec(layer));
        INDArray result = Nd4j.createUninitializedDetached(DataType.FLOAT, 'c', shape);
        AddressPointer target = new AddressPointer().at(Views.address(result));
        call(
                optimizer ->
                        lngd.lngd_layer_read(
                                optimizer,
                                layer,
                                field.code(),
                                target,
                                result.length(),
                                (LongPointer) null));
        Reference.reachabilityFence(result);
        return result;
    }

    /**
     * Replaces an array of a layer: for warm starts, tests, and averages taken between machines.
     * Writing PHI or PSI counts as having statistics; the inverses are renewed by the next step.
     *
     * @param layer index of the layer, from 0
     * @param field {@link Field#PHI} (symmetric), {@link Field#PSI}, {@link Field#MOMENTUM} or
     *     {@link Field#AVERAGE}
     * @param values finite float32 values of the shape that {@link #read} gives; any view
     * @throws org.lngd4j.nativelib.LngdArgumentException for another field, type, shape or values
     */
    public void write(int layer, Field field, INDArray values) {
        LayerSpec spec = spec(layer);
        long[] shape = Check.notNull("field", field).shape(spec);
        if (shape.length == 1) {
            Views.vector("values", spec, values, shape[0]);
        } else {
            Views.matrix("values", spec, values, shape[0], shape[1]);
        }
        INDArray compact = values.dup('c');
        AddressPointer source = new AddressPointer().at(Views.address(compact));
        call(
                optimizer ->
                        lngd.lngd_layer_write(
                                optimizer, layer, field.code(), source, compact.length()));
        Reference.reachabilityFence(compact);
    }

    /**
     * What the statistics of a layer make of the rows of a batch, by the same kernels. Changes
     * nothing.
     *
     * @param layer index of the layer, from 0
     * @param step the step of the layer that keys {@link Fisher#SAMPLED}, at least 0
     * @param inputs as for {@link #observe}
     * @param signal as for {@link #observe}
     * @param kind as for {@link #observe}
     * @return q, r and c
     */
    public FisherRows fisherRows(
            int layer, long step, INDArray inputs, INDArray signal, Signal kind) {
        LayerSpec spec = spec(layer);
        Check.atLeast("step", step, 0L);
        Check.notNull("kind", kind);
        Views.matrix("inputs", spec, inputs, -1, spec.inputs());
        Views.matrix("signal", spec, signal, inputs.size(0), spec.outputs());
        long n = inputs.size(0);
        FisherRows rows =
                new FisherRows(
                        Nd4j.createUninitializedDetached(DataType.FLOAT, 'c', n, spec.outputs()),
                        Nd4j.createUninitializedDetached(DataType.FLOAT, 'c', n),
                        Nd4j.createUninitializedDetached(DataType.FLOAT, 'c', n));
        try (NativeStructs.Tensor a = NativeStructs.tensor(inputs);
                NativeStructs.Tensor s = NativeStructs.tensor(signal)) {
            FloatPointer q = new AddressPointer().at(Views.address(rows.q()));
            FloatPointer r = new AddressPointer().at(Views.address(rows.r()));
            FloatPointer c = new AddressPointer().at(Views.address(rows.c()));
            call(
                    optimizer ->
                            lngd.lngd_fisher_rows(
                                    optimizer,
                                    layer,
                                    step,
                                    a.struct(),
                                    s.struct(),
                                    kind.code(),
                                    q,
                                    r,
                                    c));
        }
        Reference.reachabilityFence(inputs);
        Reference.reachabilityFence(signal);
        Reference.reachabilityFence(rows);
        return rows;
    }

    /**
     * The options that this optimizer was made with.
     *
     * @return the options; settings changed since are told by {@link #get}
     */
    public LngdOptions options() {
        return options;
    }

    /**
     * The layers that this optimizer was made with.
     *
     * @return the layers in forward order, unmodifiable
     */
    public List<LayerSpec> layers() {
        return layerList;
    }

    /**
     * The number of layers.
     *
     * @return at least 1
     */
    public int layerCount() {
        return layers.length;
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
        return "LngdOptimizer[layers=" + layerList + ", " + options + "]";
    }

    LayerSpec spec(int layer) {
        if (layer < 0 || layer >= layers.length) {
            throw Check.bad("layer", layer, "0 to " + (layers.length - 1));
        }
        return layers[layer];
    }

    /** A native call that takes the handle and gives a status. */
    interface Call {
        int on(lngd_optimizer optimizer);
    }

    /** The door, the call and the check, for everything that is not called in every step. */
    void call(Call call) {
        lngd_optimizer optimizer = handle.enter();
        try {
            Status.check(call.on(optimizer));
        } finally {
            handle.exit();
        }
        Reference.reachabilityFence(this);
    }
}
