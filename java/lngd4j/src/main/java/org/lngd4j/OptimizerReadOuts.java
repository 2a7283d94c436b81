// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.lngd4j.nativelib.LngdStateException;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_health;
import org.lngd4j.nativelib.global.lngd_memory;
import org.lngd4j.nativelib.global.lngd_optimizer;
import org.lngd4j.nativelib.global.lngd_times;

/**
 * What can be asked of an {@link LngdOptimizer}, saved and put back; apart from observe and step
 * for the sake of short files.
 */
abstract class OptimizerReadOuts {
    /** What every JVM can allocate. */
    private static final int LARGEST_ARRAY = Integer.MAX_VALUE - 8;

    final OptimizerHandle handle;
    ScheduledSettings scheduled;
    private final LngdOptions made;
    private LngdOptions options;
    private long extension;
    private final LayerSpec[] layers;
    private final List<LayerSpec> layerList;

    OptimizerReadOuts(LngdOptions options, List<LayerSpec> layers, lngd_optimizer pointer) {
        this.made = options;
        this.options = options;
        this.layerList = List.copyOf(layers);
        this.layers = layers.toArray(new LayerSpec[0]);
        this.scheduled = new ScheduledSettings(options);
        this.handle = new OptimizerHandle(pointer);
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
            int[] precision = new int[1];
            call(optimizer -> lngd.lngd_layer_precision(optimizer, layer, precision));
            return LayerHealth.of(health, precision[0]);
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
     * @throws LngdStateException between {@link LngdOptimizer#observe} and the step, and while
     *     averages are swapped in
     */
    public byte[] saveState() {
        long[] size = new long[1];
        call(optimizer -> lngd.lngd_state_size(optimizer, size));
        if (size[0] > LARGEST_ARRAY) {
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
     * Goes back to a saved state, of a run that was not extended. Plans stay valid.
     *
     * @param state what {@link #saveState()} gave
     * @throws org.lngd4j.nativelib.LngdStateDataException if the data are truncated, corrupt, or of
     *     another version or configuration; nothing is changed then
     */
    public void restoreState(byte[] state) {
        restoreState(state, 0);
    }

    /**
     * Goes back to a saved state. Plans stay valid.
     *
     * @param state what {@link #saveState()} gave
     * @param extension what {@link #extension()} gave when it was saved; schedules go by it
     * @throws org.lngd4j.nativelib.LngdStateDataException if the data are truncated, corrupt, or of
     *     another version or configuration; nothing is changed then
     * @throws org.lngd4j.nativelib.LngdArgumentException if the options that this optimizer was
     *     made with cannot be extended by so many steps
     */
    public void restoreState(byte[] state, long extension) {
        Check.notNull("state", state);
        LngdOptions then = extendedBy(Check.atLeast("extension", extension, 0L));
        // JavaCPP makes a null pointer of an empty array, which is another error than "truncated".
        try (BytePointer buffer = new BytePointer(Math.max(1, state.length))) {
            buffer.put(state, 0, state.length);
            call(optimizer -> lngd.lngd_state_restore(optimizer, buffer, state.length));
        }
        follow(then, extension);
    }

    /** Of what this was made with, so that several extensions and one of their sum are the same. */
    final LngdOptions extendedBy(long steps) {
        return steps == 0 ? made : made.extended(steps);
    }

    /** Schedules by these options; each setting that has one is set anew. */
    final void follow(LngdOptions changed, long by) {
        options = changed;
        extension = by;
        scheduled = new ScheduledSettings(changed);
    }

    /**
     * By how many steps {@link LngdOptimizer#extend} has made the run longer.
     *
     * @return their sum; 0 where it was not called
     */
    public long extension() {
        return extension;
    }

    /**
     * The shape of an array of a layer.
     *
     * @param layer index of the layer, from 0
     * @param field which array
     * @return its sizes, of 1 to 3 dimensions, as {@link Field} tells them
     */
    public long[] shape(int layer, Field field) {
        return Check.notNull("field", field).shape(spec(layer), options().approximation());
    }

    /**
     * Reads an array of a layer.
     *
     * @param layer index of the layer, from 0
     * @param field which array
     * @return its values, row-major, in a new array; {@link #shape} tells its sizes
     * @throws LngdStateException if there is nothing to read yet, or more than a Java array can
     *     hold
     */
    public float[] read(int layer, Field field) {
        long count = elements(layer, field);
        if (count > LARGEST_ARRAY) {
            throw new LngdStateException(
                    field
                            + " of layer \""
                            + spec(layer).name()
                            + "\" has "
                            + count
                            + " values, more than a Java array can hold");
        }
        float[] values = new float[(int) count];
        call(
                optimizer ->
                        lngd.lngd_layer_read(
                                optimizer, layer, field.code(), values, count, (long[]) null));
        return values;
    }

    /**
     * Replaces an array of a layer: for warm starts, tests, and averages taken between machines.
     * Writing PHI or PSI counts as having statistics; the inverses are renewed by the next step.
     *
     * @param layer index of the layer, from 0
     * @param field {@link Field#PHI} (symmetric), {@link Field#PSI}, {@link Field#MOMENTUM} or
     *     {@link Field#AVERAGE}
     * @param values finite values, row-major, as many as {@link #read} gives
     * @throws org.lngd4j.nativelib.LngdArgumentException for another field, number or values
     */
    public void write(int layer, Field field, float[] values) {
        long count = elements(layer, field);
        if (Check.notNull("values", values).length != count) {
            throw Check.bad(
                    "the number of values for "
                            + field
                            + " of layer \""
                            + spec(layer).name()
                            + "\"",
                    values.length,
                    count + ", of shape " + Arrays.toString(shape(layer, field)));
        }
        call(optimizer -> lngd.lngd_layer_write(optimizer, layer, field.code(), values, count));
    }

    private long elements(int layer, Field field) {
        long count = 1;
        for (long size : shape(layer, field)) {
            count *= size;
        }
        return count;
    }

    /**
     * What the statistics of a layer make of the rows of a batch, by the same kernels. Changes
     * nothing.
     *
     * @param layer index of the layer, from 0
     * @param step the step of the layer that keys {@link Fisher#SAMPLED}, at least 0
     * @param inputs as for {@link LngdOptimizer#observe}
     * @param signal as for {@link LngdOptimizer#observe}
     * @param kind as for {@link LngdOptimizer#observe}
     * @return q, r and c
     * @throws org.lngd4j.nativelib.LngdArgumentException for another shape, or more rows than a
     *     Java array can hold the squares of
     */
    public FisherRows fisherRows(
            int layer, long step, TensorView inputs, TensorView signal, Signal kind) {
        LayerSpec spec = spec(layer);
        Check.atLeast("step", step, 0L);
        Check.notNull("kind", kind);
        TensorChecks.inputs("inputs", spec, inputs);
        TensorChecks.outputs("signal", spec, signal, inputs.size(0));
        long n = inputs.size(0);
        for (int axis = 2; axis < signal.rank(); axis++) {
            n *= signal.size(axis);
        }
        if (n > LARGEST_ARRAY / Math.max(spec.outputs(), spec.groups())) {
            throw Check.bad(
                    "the number of rows",
                    n,
                    "so many that their squares, " + spec.outputs() + " a row, fit a Java array");
        }
        float[] q = new float[Math.toIntExact(n * spec.outputs())];
        float[] r = new float[Math.toIntExact(n * spec.groups())];
        float[] c = new float[r.length];
        try (TensorStruct a = new TensorStruct();
                TensorStruct s = new TensorStruct()) {
            call(
                    optimizer ->
                            lngd.lngd_fisher_rows(
                                    optimizer,
                                    layer,
                                    step,
                                    a.set(inputs),
                                    s.set(signal),
                                    kind.code(),
                                    q,
                                    r,
                                    c));
        }
        Reference.reachabilityFence(inputs);
        Reference.reachabilityFence(signal);
        return new FisherRows(q, r, c);
    }

    /**
     * The options that this optimizer was made with, or that {@link LngdOptimizer#extend} has made
     * of them.
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
     * One of the layers that this optimizer was made with.
     *
     * @param layer index of the layer, from 0
     * @return the layer
     * @throws org.lngd4j.nativelib.LngdArgumentException if there is no such layer
     */
    public LayerSpec spec(int layer) {
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
