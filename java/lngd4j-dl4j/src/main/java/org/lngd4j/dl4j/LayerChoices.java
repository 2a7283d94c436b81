// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BaseOutputLayer;
import org.deeplearning4j.nn.conf.layers.CnnLossLayer;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.FeedForwardLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.LossLayer;
import org.deeplearning4j.nn.conf.preprocessor.RnnToFeedForwardPreProcessor;
import org.deeplearning4j.nn.layers.FrozenLayer;
import org.deeplearning4j.nn.layers.FrozenLayerWithBackprop;
import org.lngd4j.Fisher;
import org.lngd4j.LayerRate;
import org.lngd4j.LayerSpec;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.Preset;
import org.lngd4j.Treatment;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationIdentity;
import org.nd4j.linalg.activations.impl.ActivationSigmoid;
import org.nd4j.linalg.activations.impl.ActivationSoftmax;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.lossfunctions.ILossFunction;
import org.nd4j.linalg.lossfunctions.impl.LossBinaryXENT;
import org.nd4j.linalg.lossfunctions.impl.LossKLD;
import org.nd4j.linalg.lossfunctions.impl.LossL2;
import org.nd4j.linalg.lossfunctions.impl.LossMCXENT;

/**
 * Decides for every layer of a network what is done with it, and with which model of its output.
 */
final class LayerChoices {
    private final LngdOptions options;

    private LayerChoices(LngdOptions options) {
        this.options = options;
    }

    static List<LayerChoice> of(Network net, LngdOptions options) {
        LayerChoices choices = new LayerChoices(options);
        List<LayerChoice> result = new ArrayList<>();
        for (Unit unit : net.units()) {
            result.add(choices.choose(unit));
        }
        return result;
    }

    private LayerChoice choose(Unit unit) {
        Layer layer = unit.layer();
        if (unit.trainable().numParams() == 0) {
            return other(unit, Treatment.NO_PARAMETERS, "");
        }
        if (layer == null) {
            return firstOrder(unit, "a vertex with parameters of its own");
        }
        if (layer instanceof FrozenLayer || layer instanceof FrozenLayerWithBackprop) {
            return other(unit, Treatment.FROZEN, "frozen in the configuration");
        }
        if (unit.unreached() != null) {
            return other(unit, Treatment.FROZEN, unit.unreached());
        }
        // By exact class: a subclass may compute something else.
        boolean dense =
                layer.getClass() == org.deeplearning4j.nn.layers.feedforward.dense.DenseLayer.class;
        boolean sequences =
                layer.getClass() == org.deeplearning4j.nn.layers.recurrent.RnnOutputLayer.class;
        boolean output =
                sequences || layer.getClass() == org.deeplearning4j.nn.layers.OutputLayer.class;
        boolean convolution = ConvolutionChoices.knows(layer);
        boolean embedding = EmbeddingChoices.knows(layer);
        if (!dense && !output && !convolution && !embedding) {
            return firstOrder(unit, "no Kronecker block for " + unit.type() + " yet");
        }
        FeedForwardLayer conf = (FeedForwardLayer) layer.conf().getLayer();
        if (isStill(conf.getIUpdater())) {
            return other(unit, Treatment.FROZEN, "the learning rate of its updater is 0");
        }
        boolean rows =
                sequences
                        || unit.preProcessor() instanceof RnnToFeedForwardPreProcessor
                                && !isPooled(unit);
        if (rows && options.layerRate() == LayerRate.EMPIRICAL) {
            return firstOrder(unit, "a time axis, and the rate EMPIRICAL wants deltas of samples");
        }
        if (convolution) {
            return convolution(unit, (ConvolutionLayer) conf);
        }
        if (embedding) {
            return embedding(unit, conf);
        }
        LayerChoice choice =
                dense ? dense(unit, (DenseLayer) conf) : output(unit, (BaseOutputLayer) conf);
        return rows ? choice.inTime() : choice;
    }

    /**
     * DL4J says that pooling leaves a time axis, and puts a preprocessor behind it which finds that
     * there is none.
     */
    private static boolean isPooled(Unit unit) {
        return unit.before() != null
                && unit.before().conf().getLayer() instanceof GlobalPoolingLayer pooling
                && pooling.isCollapseDimensions();
    }

    /**
     * A rate of 0 is one of the ways to freeze a layer in DL4J. (NoOp is not: it applies the bare
     * gradient.) A schedule may begin at 0, so several times are tried.
     */
    private static boolean isStill(IUpdater updater) {
        return updater != null
                && updater.hasLearningRate()
                && updater.getLearningRate(0, 0) == 0
                && updater.getLearningRate(1, 0) == 0
                && updater.getLearningRate(1_000, 1) == 0
                && updater.getLearningRate(100_000, 100) == 0;
    }

    private LayerChoice dense(Unit unit, DenseLayer conf) {
        if (conf.hasLayerNorm()) {
            return firstOrder(
                    unit, "its layer normalisation stands between weights and activation");
        }
        LayerSpec spec =
                LayerSpec.dense(unit.name(), conf.getNIn(), conf.getNOut()).bias(conf.hasBias());
        org.deeplearning4j.nn.conf.layers.Layer next = follower(unit);
        if (ActivationModel.isBare(conf) && next instanceof LossLayer loss) {
            return modelled(unit, spec, loss.getActivationFn(), loss.getLossFn());
        }
        if (ActivationModel.isBare(conf) && next instanceof ActivationLayer activation) {
            return modelled(unit, spec, activation.getActivationFn(), null);
        }
        return modelled(unit, spec, conf.getActivationFn(), null);
    }

    private LayerChoice convolution(Unit unit, ConvolutionLayer conf) {
        String problem = ConvolutionChoices.problem(unit.layer());
        if (problem != null) {
            return firstOrder(unit, problem);
        }
        LayerSpec spec = ConvolutionChoices.spec(unit.name(), unit.layer());
        boolean bare = conf.getActivationFn() instanceof ActivationIdentity;
        org.deeplearning4j.nn.conf.layers.Layer next = follower(unit);
        if (bare && next instanceof CnnLossLayer loss) {
            return modelled(unit, spec, loss.getActivationFn(), loss.getLossFn());
        }
        if (bare && next instanceof ActivationLayer activation) {
            return modelled(unit, spec, activation.getActivationFn(), null);
        }
        return modelled(unit, spec, conf.getActivationFn(), null);
    }

    private LayerChoice embedding(Unit unit, FeedForwardLayer conf) {
        String problem = EmbeddingChoices.problem(options);
        if (problem != null) {
            return firstOrder(unit, problem);
        }
        LayerSpec spec = EmbeddingChoices.spec(unit.name(), unit.layer());
        boolean bare = conf.getActivationFn() instanceof ActivationIdentity;
        if (bare && follower(unit) instanceof ActivationLayer activation) {
            return modelled(unit, spec, activation.getActivationFn(), null);
        }
        return modelled(unit, spec, conf.getActivationFn(), null);
    }

    private LayerChoice output(Unit unit, BaseOutputLayer conf) {
        LayerSpec spec =
                LayerSpec.dense(unit.name(), conf.getNIn(), conf.getNOut()).bias(conf.hasBias());
        return modelled(unit, spec, conf.getActivationFn(), conf.getLossFn());
    }

    /**
     * The layer after this one, if nothing stands between them: its activation is then phi of this
     * one.
     */
    private static org.deeplearning4j.nn.conf.layers.Layer follower(Unit unit) {
        if (unit.follower() == null) {
            return null;
        }
        org.deeplearning4j.nn.conf.layers.Layer next = unit.follower().conf().getLayer();
        return next.getIDropout() == null ? next : null;
    }

    /** loss is null for a hidden layer. */
    private LayerChoice modelled(Unit unit, LayerSpec spec, IActivation phi, ILossFunction loss) {
        if (options.fisher() == Fisher.PROVIDED) {
            // The gradients come from the network itself: no model of phi is needed. That of an
            // output tells the library which layer it is.
            LayerSpec bare = spec.activation(org.lngd4j.Activation.IDENTITY);
            OutputModel model = loss == null ? OutputModel.HIDDEN : provided(phi, loss);
            return lngd(unit, bare.output(model), null, "back-propagated from sampled targets");
        }
        if (phi instanceof ActivationSoftmax) {
            boolean categorical = loss instanceof LossMCXENT || loss instanceof LossKLD;
            if (categorical && options.preset() != Preset.PAPER) {
                return lngd(unit, spec.output(OutputModel.SOFTMAX), null, "softmax, categorical");
            }
            return lngd(
                    unit,
                    spec.output(OutputModel.SOFTMAX_GAUSSIAN),
                    null,
                    "softmax, Gaussian around it");
        }
        if (phi instanceof ActivationSigmoid && loss instanceof LossBinaryXENT) {
            return lngd(unit, spec.output(OutputModel.SIGMOID), null, "sigmoid, Bernoulli");
        }
        OutputModel model = loss == null ? OutputModel.HIDDEN : OutputModel.SQUARED_ERROR;
        String detail = phi + ", Gaussian";
        if (loss != null && !(loss instanceof LossL2)) {
            detail += " (a stand-in: " + loss + " has no model of its own)";
        }
        ActivationModel activation = ActivationModel.of(phi);
        if (activation.problem() != null) {
            return firstOrder(unit, activation.problem());
        }
        if (activation.known() != null) {
            LayerSpec known = spec.activation(activation.known(), activation.parameter());
            return lngd(unit, known.output(model), null, detail);
        }
        detail += ", phi' by its own backprop";
        if (options.fisher() == Fisher.SAMPLED) {
            detail += ", expected instead of sampled";
        }
        LayerSpec provided =
                spec.activation(org.lngd4j.Activation.IDENTITY)
                        .output(model)
                        .fisher(Fisher.PROVIDED);
        return lngd(unit, provided, activation.derivative(), detail);
    }

    /** The model of an output from which targets are drawn. */
    private static OutputModel provided(IActivation phi, ILossFunction loss) {
        PredictiveModel model = PredictiveModel.of(phi, loss);
        if (model == PredictiveModel.CATEGORICAL) {
            return OutputModel.SOFTMAX;
        }
        return model == PredictiveModel.BERNOULLI ? OutputModel.SIGMOID : OutputModel.SQUARED_ERROR;
    }

    private static LayerChoice lngd(
            Unit unit, LayerSpec spec, IActivation derivative, String detail) {
        ArrayForm form = ArrayForm.DENSE;
        if (spec.embedding()) {
            form = EmbeddingChoices.form(unit.layer());
        } else if (spec.convolution() != null) {
            form = ConvolutionChoices.form(unit.layer());
        }
        return new LayerChoice(
                unit, Treatment.LNGD, spec, form, derivative, size(spec, form) + ", " + detail);
    }

    /**
     * For example 784+1 x 256, of a convolution 3x3 on 16+1 x 32, of an embedding one of 5000 x 64.
     */
    private static String size(LayerSpec spec, ArrayForm form) {
        String inputs =
                spec.convolution() == null
                        ? (spec.embedding() ? "one of " : "") + spec.inputs()
                        : ConvolutionChoices.size(spec, form);
        String groups = spec.groups() > 1 ? " in " + spec.groups() + " groups" : "";
        return inputs + (spec.bias() ? "+1" : "") + " x " + spec.outputs() + groups;
    }

    private static LayerChoice firstOrder(Unit unit, String reason) {
        return other(unit, Treatment.FIRST_ORDER, reason);
    }

    private static LayerChoice other(Unit unit, Treatment treatment, String reason) {
        return new LayerChoice(unit, treatment, null, null, null, reason);
    }
}
