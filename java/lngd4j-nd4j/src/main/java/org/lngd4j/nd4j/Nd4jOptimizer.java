// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nd4j;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.lngd4j.Field;
import org.lngd4j.FisherRows;
import org.lngd4j.LayerSamples;
import org.lngd4j.LayerSpec;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.Signal;
import org.lngd4j.nativelib.LngdBusyException;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * What an {@link LngdOptimizer} takes and gives, in ND4J arrays: float32 in host memory, any view,
 * read and written in place. Everything else is asked of {@link #core()}, which also makes the plan
 * and takes the steps. Holds nothing native: who made the core closes it.
 *
 * <pre>{@code
 * Nd4jOptimizer arrays = new Nd4jOptimizer(core);
 * StepPlan plan = core.plan(List.of(arrays.tensors(0, w, b, dw, db)), UpdateMode.WEIGHTS);
 * arrays.observe(0, inputs, preActivations, Signal.PRE_ACTIVATIONS);
 * plan.step(1);
 * }</pre>
 *
 * <p>{@code observe} and the plan's {@code step} allocate nothing on the Java heap. The rule of one
 * thread at a time is that of the core.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
public final class Nd4jOptimizer {
    private final LngdOptimizer core;
    private final Nd4jTensor[] inputs;
    private final Nd4jTensor[] signals;
    private final AtomicBoolean busy = new AtomicBoolean();

    /**
     * The array form of an optimizer.
     *
     * @param core the optimizer
     * @throws org.lngd4j.nativelib.LngdArgumentException if the backend of ND4J does not keep
     *     arrays in host memory
     */
    public Nd4jOptimizer(LngdOptimizer core) {
        this.core = core;
        this.inputs = new Nd4jTensor[core.layerCount()];
        this.signals = new Nd4jTensor[inputs.length];
        for (int i = 0; i < inputs.length; i++) {
            inputs[i] = new Nd4jTensor(named("inputs", i), false);
            signals[i] = new Nd4jTensor(named("signal", i), false);
        }
    }

    /**
     * Makes an optimizer and its array form.
     *
     * @param options what it shall do
     * @param layers its layers in forward order, at least one
     * @return the array form; close its {@link #core()}
     * @throws org.lngd4j.nativelib.LngdArgumentException as {@link LngdOptimizer#create}, and if
     *     the backend of ND4J does not keep arrays in host memory
     */
    public static Nd4jOptimizer create(LngdOptions options, List<LayerSpec> layers) {
        Nd4jTensor.checkBackend(Nd4j.getExecutioner().type());
        return new Nd4jOptimizer(LngdOptimizer.create(options, layers));
    }

    private String named(String argument, int layer) {
        return argument + " of layer \"" + core.spec(layer).name() + "\"";
    }

    /** {@return the optimizer that the arrays are given to} */
    public LngdOptimizer core() {
        return core;
    }

    /**
     * {@link LngdOptimizer#observe} with arrays, which have been read when this returns and are not
     * kept: they may belong to a workspace.
     *
     * @param layer index of the layer, from 0
     * @param inputs inputs of the layer; see there
     * @param signal what {@code kind} says; see there
     * @param kind what the second array holds
     * @throws org.lngd4j.nativelib.LngdArgumentException for another type or shape, or an array
     *     that was closed
     */
    public void observe(int layer, INDArray inputs, INDArray signal, Signal kind) {
        core.spec(layer);
        enter();
        try {
            core.observe(
                    layer,
                    this.inputs[layer].point(inputs),
                    this.signals[layer].point(signal),
                    kind);
        } finally {
            exit(layer);
        }
    }

    // The views are shared from call to call, so that the door is needed before the core's.
    private void enter() {
        if (!busy.compareAndSet(false, true)) {
            throw new LngdBusyException("the optimizer is in use by another thread");
        }
    }

    private void exit(int layer) {
        inputs[layer].release();
        signals[layer].release();
        busy.set(false);
    }

    /**
     * Arrays of one layer for {@link LngdOptimizer#plan}. The bias arrays may have the shape [m],
     * [1, m] or [m, 1]. A weight matrix kept as inputs x outputs, as DL4J does, is passed as its
     * transpose.
     *
     * @param layer index of the layer, from 0
     * @param weights W, m x d_w; see {@link LayerTensors}
     * @param bias b, m values; null where the layer has no bias
     * @param weightGradients gradient of the mean loss with respect to W
     * @param biasGradients gradient of the mean loss with respect to b; null where the layer has no
     *     bias
     * @return views of them
     * @throws org.lngd4j.nativelib.LngdArgumentException for another type, or an array that was
     *     closed; shapes are checked by the plan
     */
    public LayerTensors tensors(
            int layer,
            INDArray weights,
            INDArray bias,
            INDArray weightGradients,
            INDArray biasGradients) {
        return new LayerTensors(
                layer,
                new Nd4jTensor(named("weights", layer), false).point(weights),
                vector(named("bias", layer), bias),
                new Nd4jTensor(named("weightGradients", layer), false).point(weightGradients),
                vector(named("biasGradients", layer), biasGradients));
    }

    private static Nd4jTensor vector(String argument, INDArray a) {
        return a == null ? null : new Nd4jTensor(argument, true).point(a);
    }

    /**
     * Per-sample arrays of one layer for {@link org.lngd4j.StepPlan#step(double, java.util.List)}.
     * Made once for arrays that are filled anew, it serves every step.
     *
     * @param layer index of the layer, from 0
     * @param inputs inputs of the layer; see {@link LayerSamples}
     * @param deltas derivative of each sample's loss; see there
     * @return views of them
     * @throws org.lngd4j.nativelib.LngdArgumentException for another type, or an array that was
     *     closed; shapes are checked by the step
     */
    public LayerSamples samples(int layer, INDArray inputs, INDArray deltas) {
        return new LayerSamples(
                new Nd4jTensor(named("inputs of the samples", layer), false).point(inputs),
                new Nd4jTensor(named("deltas of the samples", layer), false).point(deltas));
    }

    /**
     * {@link LngdOptimizer#read} into an array.
     *
     * @param layer index of the layer, from 0
     * @param field which array
     * @return a new FLOAT array in 'c' order, outside of any workspace
     * @throws org.lngd4j.nativelib.LngdStateException if there is nothing to read yet
     */
    public INDArray read(int layer, Field field) {
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            return Nd4j.create(core.read(layer, field), core.shape(layer, field), 'c');
        }
    }

    /**
     * {@link LngdOptimizer#write} from an array.
     *
     * @param layer index of the layer, from 0
     * @param field which array; see there
     * @param values finite values of the shape that {@link #read} gives, a vector also as a row or
     *     column; any view
     * @throws org.lngd4j.nativelib.LngdArgumentException for another field, type, shape or values
     */
    public void write(int layer, Field field, INDArray values) {
        long[] shape = core.shape(layer, field);
        Nd4jTensor given = new Nd4jTensor(named("values", layer), shape.length == 1).point(values);
        boolean fits = given.rank() == shape.length;
        for (int i = 0; fits && i < shape.length; i++) {
            fits = given.size(i) == shape[i];
        }
        if (!fits) {
            throw Nd4jTensor.bad(
                    named("values", layer),
                    "of shape " + Arrays.toString(values.shape()),
                    "shape " + Arrays.toString(shape) + " of " + field);
        }
        core.write(layer, field, values.dup('c').data().asFloat());
    }

    /**
     * {@link LngdOptimizer#fisherRows} of arrays.
     *
     * @param layer index of the layer, from 0
     * @param step the step of the layer that keys sampling, at least 0
     * @param inputs as for {@link #observe}
     * @param signal as for {@link #observe}
     * @param kind as for {@link #observe}
     * @return q, r and c
     * @throws org.lngd4j.nativelib.LngdArgumentException for another type or shape
     */
    public FisherRows fisherRows(
            int layer, long step, INDArray inputs, INDArray signal, Signal kind) {
        core.spec(layer);
        enter();
        try {
            return core.fisherRows(
                    layer,
                    step,
                    this.inputs[layer].point(inputs),
                    this.signals[layer].point(signal),
                    kind);
        } finally {
            exit(layer);
        }
    }
}
