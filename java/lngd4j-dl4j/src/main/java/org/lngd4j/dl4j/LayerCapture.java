// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.nn.api.Layer;
import org.lngd4j.Fisher;
import org.lngd4j.LayerSamples;
import org.lngd4j.Signal;
import org.lngd4j.nd4j.Nd4jOptimizer;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Watches the backward pass of one layer and hands LNGD what it asks for. A step where nothing is
 * due costs the test of two booleans and of the network's updater.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class LayerCapture implements BackpropWatch {
    final int lngdIndex;
    final Layer layer;
    final String name;
    private final Attachment attachment;
    private final Nd4jOptimizer arrays;
    private final ArrayForm form;
    private final long outputs;
    private final IActivation derivative;
    private final SampleBuffer buffer;
    private final CountedRows counted;
    private final boolean positions; // whether each position of a sample is a row of its own
    private final boolean provided;
    private final int limit;
    private DenseChain chain;
    private boolean wantsStatistics;
    private boolean wantsDeltas;
    private LayerSamples samples;
    private boolean observed;

    LayerCapture(
            Attachment attachment,
            Nd4jOptimizer arrays,
            CountedRows counted,
            int lngdIndex,
            LayerChoice choice) {
        this.attachment = attachment;
        this.arrays = arrays;
        this.counted = counted;
        this.lngdIndex = lngdIndex;
        this.layer = choice.layer();
        this.name = choice.name();
        this.form = choice.form();
        this.positions = form.hasRows(choice.spec());
        this.outputs = choice.spec().outputs();
        this.derivative = choice.derivative();
        this.buffer = new SampleBuffer(arrays, lngdIndex);
        this.provided = attachment.options().fisher() == Fisher.PROVIDED;
        this.limit = attachment.options().statisticsSamples();
    }

    /** What follows the gradients of sampled targets beside the backward pass. */
    void chain(DenseChain value) {
        chain = value;
    }

    /** Asks what the coming step wants to see. */
    void prepare() {
        wantsStatistics = !attachment.ended() && arrays.core().needsStatistics(lngdIndex);
        wantsDeltas = !attachment.ended() && arrays.core().needsDeltas(lngdIndex);
        samples = null;
        observed = false;
    }

    /** What it had seen was discarded. */
    void forget() {
        observed = false;
    }

    @Override
    public void before(INDArray preActivations) {
        attachment.keepUpdater();
        if (wantsStatistics && !provided) {
            observe(preActivations);
        } else if (wantsStatistics && chain != null) {
            chain.visit(this, preActivations);
        }
    }

    @Override
    public void after(INDArray delta, boolean masked) {
        if (wantsDeltas) {
            INDArray mask = masked || !form.masksSamples() ? null : layer.getMaskArray();
            samples = buffer.put(form.inputs(layer.input()), form.signal(delta), mask);
        }
    }

    /** Weights of this layer, or their gradient, as LNGD sees them: m x d_w. */
    INDArray weights(INDArray array) {
        return form.weights(array, outputs);
    }

    /** Whether the coming step takes statistics of this layer. */
    boolean wantsStatistics() {
        return wantsStatistics;
    }

    /**
     * Statistics from gradients of sampled targets, one row a sample, not divided by their number.
     *
     * @param from the layer that they are of, this one's shadow
     * @param masked whether the mask of the samples is in them already
     * @param rows which of them count
     */
    void observeGradients(Layer from, INDArray gradients, boolean masked, CountedRows rows) {
        INDArray a = form.inputs(from.input());
        INDArray g = form.signal(gradients);
        INDArray mask = masked || !form.masksSamples() ? null : from.getMaskArray();
        if (mask != null) {
            g = g.dup();
            ArrayForm.mask(g, mask.castTo(DataType.FLOAT));
        }
        int[] part = rows.of(from, rows(a));
        if (part == null) {
            hand(form.spread(a, limit), form.spread(g, limit), Signal.GRADIENTS);
        } else if (positions) {
            handGroups(a, g, part, Signal.GRADIENTS);
        } else if (part.length > 0) { // else padding only
            a = form.spread(CountedRows.pick(a, part), limit);
            hand(a, form.spread(CountedRows.pick(g, part), limit), Signal.GRADIENTS);
        }
    }

    /** The same of this layer itself, in memory that is no workspace's. */
    void observeGradients(LayerSamples sampled) {
        arrays.core().observe(lngdIndex, sampled.inputs(), sampled.deltas(), Signal.GRADIENTS);
    }

    /** Whether the step must be given samples. */
    boolean wantsDeltas() {
        return wantsDeltas;
    }

    /** What was captured for the step; null if there was no backward pass. */
    LayerSamples samples() {
        return samples;
    }

    private void observe(INDArray preActivations) {
        if (observed) {
            attachment.discardObserved();
        }
        observed = true;
        INDArray inputs = form.inputs(layer.input());
        attachment.numberRows(inputs.size(0));
        int[] part = counted.of(layer, rows(inputs));
        if (part == null) {
            observe(inputs, preActivations);
            return;
        }
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            if (positions) {
                handGroups(inputs, signal(preActivations), part, kind());
            } else if (part.length > 0) { // else padding only
                observe(CountedRows.pick(inputs, part), CountedRows.pick(preActivations, part));
            }
        }
    }

    private void observe(INDArray inputs, INDArray preActivations) {
        inputs = form.spread(inputs, limit);
        preActivations = form.spread(preActivations, limit);
        if (derivative == null) {
            hand(inputs, form.signal(preActivations), kind());
            return;
        }
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            hand(inputs, signal(preActivations), kind());
        }
    }

    private Signal kind() {
        return derivative == null ? Signal.PRE_ACTIVATIONS : Signal.GRADIENTS;
    }

    private INDArray signal(INDArray preActivations) {
        return form.signal(
                derivative == null
                        ? preActivations
                        : ActivationModel.slope(derivative, preActivations));
    }

    /** Samples, or samples and positions where each position is a row of its own. */
    private long rows(INDArray inputs) {
        return positions
                ? inputs.size(0) * inputs.size(inputs.rank() == 2 ? 1 : 2)
                : inputs.size(0);
    }

    private void handGroups(INDArray inputs, INDArray signal, int[] part, Signal kind) {
        for (PositionGroups.Group group : PositionGroups.of(inputs, signal, part, limit)) {
            hand(group.inputs(), group.signal(), kind);
        }
    }

    private void hand(INDArray inputs, INDArray signal, Signal kind) {
        if (inputs.dataType() == DataType.FLOAT) {
            // The memory may be a workspace's, but the library reads it before this call returns:
            // no copy.
            arrays.observe(lngdIndex, inputs, signal, kind);
            return;
        }
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            arrays.observe(lngdIndex, inputs.castTo(DataType.FLOAT), signal, kind);
        }
    }
}
