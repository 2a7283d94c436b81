// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.weights.WeightInit;
import org.lngd4j.cli.CliException;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.lossfunctions.LossFunctions;

/**
 * A deep autoencoder, the benchmark of second-order methods: an encoder of tanh layers to a linear
 * code, the mirrored decoder, and pixels as independent Bernoulli variables (sigmoid with
 * cross-entropy, summed over the pixels). Xavier initialisation.
 *
 * @param encoder widths from the input to the code, at least two numbers
 */
public record AutoencoderSpec(List<Integer> encoder) implements ImageModelSpec {
    private static final String STANDARD = "ae:784-400-200-100-50-25-6";

    /** Keeps an unchangeable copy. */
    public AutoencoderSpec {
        encoder = List.copyOf(encoder);
    }

    /** Checks the text of {@code --model}: {@code ae} or {@code ae:W-W-...-W}. */
    static List<Integer> listed(String text) {
        String whole = text.equals("ae") ? STANDARD : text;
        if (!whole.matches("ae:[0-9]{1,9}(-[0-9]{1,9})+")) {
            throw CliException.badInput(
                    "--model " + text + ": expected ae or ae:W-W-..., for example " + STANDARD);
        }
        return Widths.parse(text, whole.substring(3));
    }

    /**
     * Reads the text of {@code --model}.
     *
     * @param inputs features of one sample: the first of the widths
     */
    static AutoencoderSpec parse(String text, int inputs) {
        List<Integer> widths = listed(text);
        if (widths.get(0) != inputs) {
            throw CliException.badInput(
                    "--model "
                            + text
                            + ": begins with "
                            + widths.get(0)
                            + ", but an image of these data has "
                            + inputs
                            + " pixels");
        }
        AutoencoderSpec spec = new AutoencoderSpec(widths);
        Widths.checkSize(text, spec.parameters());
        return spec;
    }

    @Override
    public boolean reconstructs() {
        return true;
    }

    @Override
    public long parameters() {
        return Widths.parameters(mirrored());
    }

    @Override
    public Dl4jNetwork build(long seed, IUpdater updater) {
        NeuralNetConfiguration.ListBuilder layers =
                new NeuralNetConfiguration.Builder()
                        .seed(seed)
                        .dataType(DataType.FLOAT)
                        .updater(updater)
                        .weightInit(WeightInit.XAVIER)
                        .list();
        List<Integer> widths = mirrored();
        int code = encoder.size() - 1;
        for (int i = 1; i < widths.size() - 1; i++) {
            layers.layer(
                    new DenseLayer.Builder()
                            .nIn(widths.get(i - 1))
                            .nOut(widths.get(i))
                            .activation(i == code ? Activation.IDENTITY : Activation.TANH)
                            .build());
        }
        layers.layer(
                new OutputLayer.Builder(LossFunctions.LossFunction.XENT)
                        .nIn(widths.get(widths.size() - 2))
                        .nOut(widths.get(widths.size() - 1))
                        .activation(Activation.SIGMOID)
                        .build());
        MultiLayerNetwork net = new MultiLayerNetwork(layers.build());
        net.init();
        return Dl4jNetwork.of(net);
    }

    /** The widths of all layers, decoder included. */
    public List<Integer> mirrored() {
        List<Integer> widths = new ArrayList<>(encoder);
        for (int i = encoder.size() - 2; i >= 0; i--) {
            widths.add(encoder.get(i));
        }
        return widths;
    }

    /** For example {@code ae 784-400-200-100-50-25-6}. */
    @Override
    public String toString() {
        return "ae " + Widths.join(encoder);
    }
}
