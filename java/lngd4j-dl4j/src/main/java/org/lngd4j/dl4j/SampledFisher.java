// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.api.layers.RecurrentLayer;
import org.deeplearning4j.nn.conf.BackpropType;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.CnnLossLayer;
import org.deeplearning4j.nn.conf.layers.LossLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.wrapper.BaseWrapperLayer;
import org.deeplearning4j.nn.layers.FrozenLayer;
import org.deeplearning4j.nn.layers.FrozenLayerWithBackprop;
import org.lngd4j.LngdOptions;
import org.lngd4j.nativelib.LngdArgumentException;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.rng.Random;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.lossfunctions.ILossFunction;

/**
 * {@code Fisher.PROVIDED} in DL4J: g_n = d(-log p(y_n | x_n)) / d s_n of every layer, with y_n
 * drawn from the model's own prediction and g back-propagated through the whole network, as KFAC
 * and the paper's LNGD-lr have it. Where statistics are due, a {@link Shadow} makes one more
 * forward and backward pass on the first samples of the batch. A stack of dense layers has a
 * shorter way, {@link DenseChain}; in general DL4J's backward pass uses up what the forward pass
 * left.
 *
 * <p>The shadow runs without dropout and weight noise: it is the model that is evaluated, and
 * targets depend on (seed, step) alone. Batch normalisation uses the statistics of the samples that
 * are passed; g_n is then the derivative of their summed loss.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class SampledFisher {
    private final Shadow shadow;
    private final List<LayerCapture> captures;
    private final List<SampledLoss> losses = new ArrayList<>();
    private final int samples;
    private final long seed;

    SampledFisher(Network net, LngdOptions options, List<LayerCapture> captures) {
        this.captures = captures;
        this.samples = options.statisticsSamples();
        this.seed = options.seed();
        this.shadow = net.shadow();
        for (Layer output : shadow.outputs()) {
            SampledLoss loss = new SampledLoss("sampled targets", model(output));
            setLoss(output, loss);
            losses.add(loss);
        }
        List<Unit> theirs = net.units();
        List<Unit> mine = shadow.units();
        for (int i = 0; i < mine.size(); i++) {
            Layer layer = mine.get(i).layer();
            if (layer == null) {
                continue;
            }
            withoutNoise(layer);
            for (LayerCapture capture : captures) {
                if (capture.layer == theirs.get(i).layer()) {
                    new Decoration(layer, new Watch(layer, capture)).install();
                }
            }
        }
    }

    /** Refuses a network for which there are no such gradients. */
    static void check(Network net) {
        if (net.backpropType() == BackpropType.TruncatedBPTT) {
            throw refusal("the network is trained by truncated backpropagation through time");
        }
        for (Unit unit : net.units()) {
            Layer layer = unit.layer();
            boolean frozen =
                    layer instanceof FrozenLayer || layer instanceof FrozenLayerWithBackprop;
            if (layer instanceof RecurrentLayer
                    || layer != null
                            && !frozen
                            && layer.conf().getLayer() instanceof BaseWrapperLayer) {
                throw refusal("layer " + unit.name() + " is a " + unit.type());
            }
        }
        for (Layer output : net.outputs()) {
            model(output);
        }
    }

    private static LngdArgumentException refusal(String reason) {
        return new LngdArgumentException(
                "options.fisher is PROVIDED, but "
                        + reason
                        + "; allowed are networks without recurrent layers whose outputs are softmax with cross-entropy,"
                        + " sigmoid with binary cross-entropy, or squared error, from which targets can be drawn;"
                        + " EXPECTED and SAMPLED need no back-propagation");
    }

    /** The model of an output; refuses one from which no targets can be drawn. */
    static PredictiveModel model(Layer output) {
        if (output == null) {
            throw refusal("an output is no layer");
        }
        org.deeplearning4j.nn.conf.layers.Layer conf = output.conf().getLayer();
        IActivation phi;
        ILossFunction loss;
        // By exact class: a subclass may have a loss of its own beside this one.
        if (conf.getClass() == OutputLayer.class) {
            phi = ((OutputLayer) conf).getActivationFn();
            loss = ((OutputLayer) conf).getLossFn();
        } else if (conf.getClass() == LossLayer.class) {
            phi = ((LossLayer) conf).getActivationFn();
            loss = ((LossLayer) conf).getLossFn();
        } else if (conf.getClass() == CnnLossLayer.class) {
            phi = ((CnnLossLayer) conf).getActivationFn();
            loss = ((CnnLossLayer) conf).getLossFn();
        } else {
            throw refusal(
                    "output " + conf.getLayerName() + " is a " + conf.getClass().getSimpleName());
        }
        PredictiveModel model = PredictiveModel.of(phi, loss);
        if (model == null) {
            throw refusal("output " + conf.getLayerName() + " has the loss " + loss + " on " + phi);
        }
        return model;
    }

    private static void setLoss(Layer output, ILossFunction loss) {
        if (output.conf().getLayer() instanceof OutputLayer conf) {
            conf.setLossFn(loss);
        } else if (output.conf().getLayer() instanceof LossLayer conf) {
            conf.setLossFn(loss);
        } else {
            ((CnnLossLayer) output.conf().getLayer()).setLossFn(loss);
        }
    }

    private static void withoutNoise(Layer layer) {
        layer.conf().getLayer().setIDropout(null);
        if (layer.conf().getLayer() instanceof BaseLayer conf) {
            conf.setWeightNoise(null);
        }
    }

    /** Feeds the statistics of the layers where they are due, from the batch of the coming step. */
    void observe(long step) {
        for (int i = 0; i < losses.size(); i++) {
            losses.get(i).noise(new TargetNoise(seed, step, i));
        }
        // Activations such as RReLU draw: the user's run must not notice, and a resumed one repeat.
        Random random = Nd4j.getRandom();
        long root = random.rootState();
        long node = random.nodeState();
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            random.setStates(seed + 1, step + 1);
            shadow.pass(samples);
        } finally {
            random.setStates(root, node);
        }
    }

    /** Takes g of one layer of the shadow, whose memory is read before DL4J uses it again. */
    private record Watch(Layer layer, LayerCapture capture) implements BackpropWatch {
        @Override
        public void before(INDArray preActivations) {
            // Only the derivative is wanted.
        }

        @Override
        public void after(INDArray delta, boolean masked) {
            if (capture.wantsStatistics()) {
                capture.observeGradients(layer, delta, masked);
            }
        }
    }
}
