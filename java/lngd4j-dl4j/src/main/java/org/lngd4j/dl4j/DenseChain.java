// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.layers.OutputLayer;
import org.deeplearning4j.nn.layers.feedforward.dense.DenseLayer;
import org.deeplearning4j.nn.params.DefaultParamInitializer;
import org.lngd4j.LayerSamples;
import org.lngd4j.LngdOptions;
import org.lngd4j.adapter.TargetNoise;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationRReLU;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * {@code Fisher.PROVIDED} for a stack of dense layers, out of the forward pass of the training
 * itself: inputs and pre-activations of each layer are at hand while DL4J's backward pass visits
 * it, from the output to the input, and the gradients of sampled targets go down beside that pass:
 *
 * <pre>
 *   delta_L = d(-log p(y | s_L)) / d s_L,  y ~ p        delta_l = (delta_{l+1} W_{l+1}) phi'(s_l)
 * </pre>
 *
 * <p>No second forward pass, no weight gradients, nothing for the first layer's inputs, and no
 * memory for a second gradient array: of the {@link SampledFisher} pass of S samples, which has 6 S
 * m d operations a layer, 2 S m d are left, and none of the first layer, the widest one mostly.
 * What was seen is handed over at the update, so that of several backward passes the one counts
 * whose gradients are stepped.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class DenseChain {
    private final Attachment attachment;
    private final List<LayerCapture> captures;
    private final PredictiveModel model;
    private final List<IActivation> activations = new ArrayList<>();
    private final List<SampleBuffer> buffers = new ArrayList<>();
    private final List<LayerSamples> seen = new ArrayList<>();
    private final int limit;
    private final long seed;
    // Of the layer that was visited last, and its number; captures.size() before the output.
    private INDArray delta;
    private int visited;

    private DenseChain(
            Attachment attachment,
            LngdOptions options,
            List<LayerCapture> captures,
            PredictiveModel model) {
        this.attachment = attachment;
        this.captures = captures;
        this.model = model;
        this.limit = options.statisticsSamples();
        this.seed = options.seed();
        for (LayerCapture capture : captures) {
            activations.add(activation(capture.layer));
            buffers.add(new SampleBuffer(attachment.arrays(), capture.lngdIndex));
            seen.add(null);
        }
    }

    /**
     * The chain of a network, before its layers are decorated; null where it is no stack of dense
     * layers that LNGD trains, or where its forward pass in training is not the model that is
     * evaluated (dropout, weight noise).
     */
    static DenseChain of(
            Attachment attachment, Network net, LngdOptions options, List<LayerCapture> captures) {
        List<Unit> units = net.units();
        if (!(net instanceof SequentialNetwork) || units.size() != captures.size()) {
            return null;
        }
        for (int i = 0; i < units.size(); i++) {
            boolean last = i == units.size() - 1;
            Layer layer = units.get(i).layer();
            // By exact class: a subclass may compute something else.
            Class<?> expected = last ? OutputLayer.class : DenseLayer.class;
            if (layer != captures.get(i).layer
                    || layer.getClass() != expected
                    || i > 0 && units.get(i).preProcessor() != null
                    || !isPlain(layer)) {
                return null;
            }
        }
        return new DenseChain(
                attachment, options, captures, SampledFisher.model(net.outputs().get(0)));
    }

    private static boolean isPlain(Layer layer) {
        BaseLayer conf = (BaseLayer) layer.conf().getLayer();
        boolean normalised =
                conf instanceof org.deeplearning4j.nn.conf.layers.DenseLayer dense
                        && dense.hasLayerNorm();
        // RReLU draws its slopes: two derivatives of one forward pass would differ.
        return conf.getIDropout() == null
                && conf.getWeightNoise() == null
                && !(conf.getActivationFn() instanceof ActivationRReLU)
                && !normalised;
    }

    private static IActivation activation(Layer layer) {
        return ((BaseLayer) layer.conf().getLayer()).getActivationFn();
    }

    /**
     * Called by the capture of a layer in DL4J's backward pass.
     *
     * @param s pre-activations, which DL4J may overwrite afterwards
     */
    void visit(LayerCapture capture, INDArray s) {
        int index = captures.indexOf(capture);
        boolean output = index == captures.size() - 1;
        if (output) {
            visited = captures.size();
            delta = null;
        }
        if (index != visited - 1 || masked()) {
            return; // the shadow network takes this batch
        }
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            INDArray z = Shadow.first(s, limit);
            INDArray next =
                    output
                            ? model.gradient(
                                    z,
                                    activations.get(index),
                                    new TargetNoise(seed, attachment.steps(), 0),
                                    attachment.firstSample())
                            : hidden(index, z);
            INDArray inputs = Shadow.first(capture.layer.input(), limit);
            seen.set(index, buffers.get(index).put(inputs, next, null));
            delta = next;
            visited = index;
        }
    }

    private INDArray hidden(int index, INDArray z) {
        INDArray above = captures.get(index + 1).layer.getParam(DefaultParamInitializer.WEIGHT_KEY);
        INDArray epsilon = delta.mmul(above.transpose()); // [nIn, nOut]
        return activations.get(index).backprop(z.dup(), epsilon).getFirst();
    }

    private boolean masked() {
        for (LayerCapture capture : captures) {
            if (capture.layer.getMaskArray() != null) {
                return true;
            }
        }
        return false;
    }

    /**
     * Hands over what the last backward pass has left.
     *
     * @return whether it has left all of it; otherwise nothing was handed over
     */
    boolean observe() {
        boolean complete = visited == 0 && delta != null;
        for (int i = 0; complete && i < captures.size(); i++) {
            LayerCapture capture = captures.get(i);
            if (capture.wantsStatistics()) {
                capture.observeGradients(seen.get(i));
            }
        }
        delta = null;
        return complete;
    }
}
