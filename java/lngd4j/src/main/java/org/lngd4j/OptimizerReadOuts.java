// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.lang.ref.Reference;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
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
 * What can be asked of an {@link LngdOptimizer}, saved and put back; apart from observe and step
 * for the sake of short files.
 */
abstract class OptimizerReadOuts {
    final OptimizerHandle handle;
    final ScheduledSettings scheduled;
    private final LngdOptions options;
    private final LayerSpec[] layers;
    private final List<LayerSpec> layerList;

    OptimizerReadOuts(LngdOptions options, List<LayerSpec> layers, lngd_optimizer pointer) {
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
        long[] shape = Check.notNull("field", field).shape(spec(layer), options().approximation());
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
        long[] shape = Check.notNull("field", field).shape(spec, options().approximation());
        Views.shaped("values", spec, values, shape);
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
        Views.inputs("inputs", spec, inputs);
        Views.outputs("signal", spec, signal, inputs.size(0));
        long n = inputs.size(0);
        for (int axis = 2; axis < signal.rank(); axis++) {
            n *= signal.size(axis);
        }
        long[] each = spec.groups() == 1 ? new long[] {n} : new long[] {n, spec.groups()};
        FisherRows rows =
                new FisherRows(
                        Nd4j.createUninitializedDetached(DataType.FLOAT, 'c', n, spec.outputs()),
                        Nd4j.createUninitializedDetached(DataType.FLOAT, 'c', each),
                        Nd4j.createUninitializedDetached(DataType.FLOAT, 'c', each));
        try (TensorStruct a = new TensorStruct();
                TensorStruct s = new TensorStruct()) {
            FloatPointer q = new AddressPointer().at(Views.address(rows.q()));
            FloatPointer r = new AddressPointer().at(Views.address(rows.r()));
            FloatPointer c = new AddressPointer().at(Views.address(rows.c()));
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
