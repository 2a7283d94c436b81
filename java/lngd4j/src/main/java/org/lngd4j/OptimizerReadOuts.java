// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.List;
import org.lngd4j.nativelib.LngdStateException;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_health;
import org.lngd4j.nativelib.global.lngd_memory;
import org.lngd4j.nativelib.global.lngd_optimizer;
import org.lngd4j.nativelib.global.lngd_times;

/**
 * What can be asked of an {@link LngdOptimizer}; apart from observe and step for the sake of short
 * files.
 */
abstract class OptimizerReadOuts extends OptimizerState {
    private final LayerSpec[] layers;
    private final List<LayerSpec> layerList;

    OptimizerReadOuts(LngdOptions options, List<LayerSpec> layers, lngd_optimizer pointer) {
        super(options, pointer);
        this.layerList = List.copyOf(layers);
        this.layers = layers.toArray(new LayerSpec[0]);
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
}
