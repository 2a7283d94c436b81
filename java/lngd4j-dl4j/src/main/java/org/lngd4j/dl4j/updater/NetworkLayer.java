// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.List;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.misc.FrozenLayerWithBackprop;
import org.deeplearning4j.nn.conf.layers.recurrent.Bidirectional;
import org.deeplearning4j.nn.conf.layers.wrapper.BaseWrapperLayer;
import org.deeplearning4j.nn.layers.FrozenLayer;
import org.deeplearning4j.nn.layers.OutputLayer;
import org.deeplearning4j.nn.layers.convolution.Convolution1DLayer;
import org.deeplearning4j.nn.layers.convolution.ConvolutionLayer;
import org.deeplearning4j.nn.layers.feedforward.embedding.EmbeddingLayer;
import org.deeplearning4j.nn.layers.feedforward.embedding.EmbeddingSequenceLayer;
import org.deeplearning4j.nn.layers.recurrent.RnnOutputLayer;
import org.deeplearning4j.nn.params.DefaultParamInitializer;
import org.lngd4j.nativelib.LngdArgumentException;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A layer with parameters, as an optimizer for a whole network sees it.
 *
 * @param name the layer's or vertex's name
 * @param live the layer
 * @param first whether no layer with parameters comes before it on any path
 * @param last whether none comes after it
 */
record NetworkLayer(String name, Layer live, boolean first, boolean last) {
    /** Simple name of the configuration class, as users wrote it. */
    String type() {
        return live.conf().getLayer().getClass().getSimpleName();
    }

    long parameters() {
        return live.numParams();
    }

    boolean frozen() {
        return live instanceof FrozenLayer
                || live instanceof org.deeplearning4j.nn.layers.FrozenLayerWithBackprop;
    }

    boolean convolution() {
        return live.getClass() == ConvolutionLayer.class
                || live.getClass() == Convolution1DLayer.class;
    }

    boolean embedding() {
        return live.getClass() == EmbeddingLayer.class
                || live.getClass() == EmbeddingSequenceLayer.class;
    }

    // By exact class: a subclass may lay its weights out in another way.
    private boolean dense() {
        Class<?> type = live.getClass();
        return type == org.deeplearning4j.nn.layers.feedforward.dense.DenseLayer.class
                || type == OutputLayer.class
                || type == RnnOutputLayer.class;
    }

    /** Why its weights are not one matrix; null if they are. */
    String noMatrix() {
        if (!dense() && !embedding() && !convolution()) {
            return "no weight matrix known in " + type();
        }
        return live.conf().getLayer() instanceof DenseLayer conf && conf.hasLayerNorm()
                ? "DL4J gives weights and gains of layer normalisation one updater"
                : null;
    }

    /** The shape of the weights; null if they are not one matrix. */
    MatrixShape matrix() {
        if (noMatrix() != null) {
            return null;
        }
        INDArray weights = live.getParam(DefaultParamInitializer.WEIGHT_KEY);
        long outputs = convolution() ? weights.size(0) : weights.size(1);
        return new MatrixShape(outputs, weights.length() / outputs);
    }

    /**
     * The configurations that hold its updaters: its own, or those that it wraps.
     *
     * @throws LngdArgumentException if there is none that this library knows
     */
    List<BaseLayer> configurations() {
        return configurations(live.conf().getLayer());
    }

    private List<BaseLayer> configurations(org.deeplearning4j.nn.conf.layers.Layer conf) {
        if (conf instanceof BaseLayer base) {
            return List.of(base);
        }
        if (conf instanceof Bidirectional both
                && both.getFwd() instanceof BaseLayer forward
                && both.getBwd() instanceof BaseLayer backward) {
            return List.of(forward, backward);
        }
        if (conf instanceof BaseWrapperLayer wrapper
                && !(conf instanceof FrozenLayerWithBackprop)) {
            return configurations(wrapper.getUnderlying());
        }
        throw new LngdArgumentException(
                "layer "
                        + name
                        + " is a "
                        + conf.getClass().getSimpleName()
                        + ", whose updater this library cannot set; allowed are DL4J's own layers"
                        + " (subclasses of BaseLayer), bare, bidirectional or wrapped");
    }
}
