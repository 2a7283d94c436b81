// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
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
 * A multi-layer perceptron: dense layers with ReLU (He initialisation), then softmax with
 * cross-entropy (Xavier).
 *
 * @param widths neurons from the input to the output, at least two numbers
 */
public record MlpSpec(List<Integer> widths) implements ImageModelSpec {
    /** What {@code --model} means when only {@code mlp} is said: the hidden widths. */
    static final List<Integer> DEFAULT_HIDDEN = List.of(256, 128);

    /** Keeps an unchangeable copy. */
    public MlpSpec {
        widths = List.copyOf(widths);
    }

    /** Checks the text of {@code --model} before any data are read, as far as that is possible. */
    static void validate(String text) {
        listed(text);
    }

    /**
     * Reads the text of {@code --model}: {@code mlp}, or {@code mlp:W-W-...} with the widths of the
     * hidden layers. A list that begins with the width of the input and ends with the number of
     * classes is taken as the whole network, so {@code mlp:784-256-128-10} and {@code mlp:256-128}
     * are the same for Fashion-MNIST.
     *
     * @param inputs features of one sample
     * @param classes outputs of the network
     */
    public static MlpSpec parse(String text, int inputs, int classes) {
        List<Integer> listed = listed(text);
        int last = listed.size() - 1;
        boolean whole = last >= 1 && listed.get(0) == inputs && listed.get(last) == classes;
        List<Integer> widths = new ArrayList<>();
        if (!whole) {
            widths.add(inputs);
        }
        widths.addAll(listed);
        if (!whole) {
            widths.add(classes);
        }
        MlpSpec spec = new MlpSpec(widths);
        Widths.checkSize(text, spec.parameters());
        return spec;
    }

    private static List<Integer> listed(String text) {
        if (text.equals("mlp")) {
            return DEFAULT_HIDDEN;
        }
        if (!text.matches("mlp:[0-9]{1,9}(-[0-9]{1,9})*")) {
            throw CliException.badInput(
                    "--model " + text + ": expected mlp or mlp:W-W-..., for example mlp:256-128");
        }
        return Widths.parse(text, text.substring(4));
    }

    @Override
    public boolean reconstructs() {
        return false;
    }

    @Override
    public long parameters() {
        return Widths.parameters(widths);
    }

    @Override
    public Dl4jNetwork build(long seed, IUpdater updater) {
        MultiLayerNetwork net = new MultiLayerNetwork(configuration(seed, updater));
        net.init();
        return Dl4jNetwork.of(net);
    }

    private MultiLayerConfiguration configuration(long seed, IUpdater updater) {
        NeuralNetConfiguration.ListBuilder layers =
                new NeuralNetConfiguration.Builder()
                        .seed(seed)
                        .dataType(DataType.FLOAT)
                        .updater(updater)
                        .list();
        for (int i = 1; i < widths.size() - 1; i++) {
            layers.layer(
                    new DenseLayer.Builder()
                            .nIn(widths.get(i - 1))
                            .nOut(widths.get(i))
                            .activation(Activation.RELU)
                            .weightInit(WeightInit.RELU)
                            .build());
        }
        layers.layer(
                new OutputLayer.Builder(LossFunctions.LossFunction.MCXENT)
                        .nIn(widths.get(widths.size() - 2))
                        .nOut(widths.get(widths.size() - 1))
                        .activation(Activation.SOFTMAX)
                        .weightInit(WeightInit.XAVIER)
                        .build());
        return layers.build();
    }

    /** For example {@code 784-256-128-10}. */
    @Override
    public String toString() {
        return Widths.join(widths);
    }
}
