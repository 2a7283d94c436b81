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
import org.lngd4j.adapter.TargetNoise;
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
 * forward and backward pass on the first samples of the batch ({@link ChainPass}). A stack of dense
 * layers needs no pass at all ({@link DenseChain}); in general DL4J's backward pass uses up what
 * the forward pass left.
 *
 * <p>The shadow runs without dropout and weight noise: it is the model that is evaluated, and
 * targets depend on (seed, step) alone. Batch normalisation uses the statistics of the samples that
 * are passed; g_n is then the derivative of their summed loss.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class SampledFisher {
    private final Shadow shadow;
    private final List<LayerCapture> captures;
    private final List<Integer> positions = new ArrayList<>(); // of the captures among the units
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
        CountedRows counted = new CountedRows(net, mine, shadow.outputs());
        for (int i = 0; i < mine.size(); i++) {
            Layer layer = mine.get(i).layer();
            if (layer == null) {
                continue;
            }
            withoutNoise(layer);
            for (LayerCapture capture : captures) {
                if (capture.layer == theirs.get(i).layer()) {
                    positions.add(i);
                    new Decoration(layer, new Watch(layer, capture, counted)).install();
                }
            }
        }
    }

    /** Refuses a network for which there are no such gradients. */
    static void check(Network net) {
        String problem = problem(net);
        if (problem != null) {
            throw new LngdArgumentException(
                    "options.fisher is PROVIDED, but "
                            + problem
                            + "; allowed are networks without recurrent layers whose outputs are softmax with cross-entropy,"
                            + " sigmoid with binary cross-entropy, or squared error, from which targets can be drawn;"
                            + " EXPECTED and SAMPLED need no back-propagation");
        }
    }

    /** Why there are no such gradients of a network; null if there are. */
    static String problem(Network net) {
        if (net.backpropType() == BackpropType.TruncatedBPTT) {
            return "the network is trained by truncated backpropagation through time";
        }
        for (Unit unit : net.units()) {
            Layer layer = unit.layer();
            boolean frozen =
                    layer instanceof FrozenLayer || layer instanceof FrozenLayerWithBackprop;
            if (layer instanceof RecurrentLayer
                    || layer != null
                            && !frozen
                            && layer.conf().getLayer() instanceof BaseWrapperLayer) {
                return "layer " + unit.name() + " is a " + unit.type();
            }
        }
        for (Layer output : net.outputs()) {
            String problem = output == null ? "an output is no layer" : outputProblem(output);
            if (problem != null) {
                return problem;
            }
        }
        return null;
    }

    private static String outputProblem(Layer output) {
        org.deeplearning4j.nn.conf.layers.Layer conf = output.conf().getLayer();
        if (!hasPlainLoss(conf)) {
            return "output " + conf.getLayerName() + " is a " + conf.getClass().getSimpleName();
        }
        return model(output) == null
                ? "output "
                        + conf.getLayerName()
                        + " has the loss "
                        + loss(conf)
                        + " on "
                        + activation(conf)
                : null;
    }

    /** By exact class: a subclass may have a loss of its own beside this one. */
    private static boolean hasPlainLoss(org.deeplearning4j.nn.conf.layers.Layer conf) {
        Class<?> type = conf.getClass();
        return type == OutputLayer.class || type == LossLayer.class || type == CnnLossLayer.class;
    }

    private static IActivation activation(org.deeplearning4j.nn.conf.layers.Layer conf) {
        return ((BaseLayer) conf).getActivationFn();
    }

    private static ILossFunction loss(org.deeplearning4j.nn.conf.layers.Layer conf) {
        if (conf instanceof OutputLayer output) {
            return output.getLossFn();
        }
        return conf instanceof LossLayer loss
                ? loss.getLossFn()
                : ((CnnLossLayer) conf).getLossFn();
    }

    /** Of an output without a problem. */
    static PredictiveModel model(Layer output) {
        org.deeplearning4j.nn.conf.layers.Layer conf = output.conf().getLayer();
        return PredictiveModel.of(activation(conf), loss(conf));
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

    static void withoutNoise(Layer layer) {
        layer.conf().getLayer().setIDropout(null);
        if (layer.conf().getLayer() instanceof BaseLayer conf) {
            conf.setWeightNoise(null);
        }
    }

    /**
     * Feeds the statistics of the layers where they are due, of one at least, from the batch of the
     * coming step.
     *
     * @param firstSample its number in the whole batch, of which other ranks may have the others
     */
    void observe(long step, long firstSample) {
        int lowest = Integer.MAX_VALUE;
        for (int i = 0; i < captures.size(); i++) {
            if (captures.get(i).wantsStatistics()) {
                lowest = Math.min(lowest, positions.get(i));
            }
        }
        long passed = shadow.samples(samples);
        for (int i = 0; i < losses.size(); i++) {
            losses.get(i).noise(new TargetNoise(seed, step, i), firstSample, passed);
        }
        // Activations such as RReLU draw: the user's run must not notice, and a resumed one repeat.
        Random random = Nd4j.getRandom();
        long root = random.rootState();
        long node = random.nodeState();
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            random.setStates(seed + 1, step + 1);
            shadow.pass(samples, lowest);
        } finally {
            random.setStates(root, node);
        }
    }

    /** Takes g of one layer of the shadow, whose memory is read before DL4J uses it again. */
    private record Watch(Layer layer, LayerCapture capture, CountedRows counted)
            implements BackpropWatch {
        @Override
        public void before(INDArray preActivations) {
            // Only the derivative is wanted.
        }

        @Override
        public void after(INDArray delta, boolean masked) {
            if (capture.wantsStatistics()) {
                capture.observeGradients(layer, delta, masked, counted);
            }
        }
    }
}
