// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.weights.WeightInit;
import org.lngd4j.cli.data.ImageShape;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.lngd4j.cli.model.ImageModelSpec;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.learning.config.IUpdater;

/**
 * A small network: 3 x 3 convolutions of stride 2 if there are any, dense layers, and an output
 * layer. ReLU layers begin as He has them, all others as Xavier.
 *
 * @param image what the features are, where there are convolutions; null otherwise
 * @param channels of the convolutions, in their order
 * @param widths of the dense layers, the output's last; without convolutions the features' first
 * @param hidden the activation of all layers but the output
 * @param output the output and the loss
 */
record ToyNetwork(
        ImageShape image,
        List<Integer> channels,
        List<Integer> widths,
        Activation hidden,
        Output output)
        implements ImageModelSpec {
    private static final int KERNEL = 3;
    private static final int STRIDE = 2;

    ToyNetwork {
        channels = List.copyOf(channels);
        widths = List.copyOf(widths);
    }

    /** Dense layers alone. */
    static ToyNetwork dense(Activation hidden, Output output, Integer... widths) {
        return new ToyNetwork(null, List.of(), List.of(widths), hidden, output);
    }

    /** Convolutions, then the output layer. */
    static ToyNetwork convolutional(
            ImageShape image, List<Integer> channels, Output output, int outputs) {
        return new ToyNetwork(image, channels, List.of(outputs), Activation.RELU, output);
    }

    int inputs() {
        return image == null ? widths.get(0) : image.features();
    }

    int outputs() {
        return widths.get(widths.size() - 1);
    }

    /** False: where a problem's targets are its inputs, its samples say so. */
    @Override
    public boolean reconstructs() {
        return false;
    }

    @Override
    public long parameters() {
        long sum = 0;
        long wide = widths.get(0);
        if (image != null) {
            int height = image.height();
            int width = image.width();
            int before = image.channels();
            for (int after : channels) {
                sum += (before * KERNEL * KERNEL + 1L) * after;
                height = left(height);
                width = left(width);
                before = after;
            }
            wide = (long) before * height * width;
            sum += (wide + 1) * widths.get(0);
            wide = widths.get(0);
        }
        for (int next : widths.subList(1, widths.size())) {
            sum += (wide + 1) * next;
            wide = next;
        }
        return sum;
    }

    private static int left(int side) {
        return (side - KERNEL) / STRIDE + 1;
    }

    @Override
    public Dl4jNetwork build(long seed, IUpdater updater) {
        WeightInit begin = hidden == Activation.RELU ? WeightInit.RELU : WeightInit.XAVIER;
        NeuralNetConfiguration.ListBuilder layers =
                new NeuralNetConfiguration.Builder()
                        .seed(seed)
                        .dataType(DataType.FLOAT)
                        .updater(updater)
                        .activation(hidden)
                        .weightInit(begin)
                        .list();
        for (int after : channels) {
            layers.layer(
                    new ConvolutionLayer.Builder(KERNEL, KERNEL)
                            .stride(STRIDE, STRIDE)
                            .nOut(after)
                            .build());
        }
        for (int i = image == null ? 1 : 0; i < widths.size() - 1; i++) {
            layers.layer(new DenseLayer.Builder().nOut(widths.get(i)).build());
        }
        layers.layer(
                new OutputLayer.Builder(output.lossFunction())
                        .nOut(outputs())
                        .activation(output.activation())
                        .weightInit(WeightInit.XAVIER)
                        .build());
        layers.setInputType(
                image == null
                        ? InputType.feedForward(inputs())
                        : InputType.convolutionalFlat(
                                image.height(), image.width(), image.channels()));
        MultiLayerNetwork net = new MultiLayerNetwork(layers.build());
        net.init();
        return Dl4jNetwork.of(net);
    }

    /** For example {@code 20-64-2 relu, softmax} or {@code 12x12, conv 8-16, 4 relu, softmax}. */
    @Override
    public String toString() {
        String layers =
                (image == null ? "" : image + ", conv " + joined(channels) + ", ") + joined(widths);
        boolean shallow = image == null && widths.size() == 2;
        String shown = shallow ? "" : " " + hidden.name().toLowerCase(Locale.ROOT);
        return layers + shown + ", " + output.name().toLowerCase(Locale.ROOT);
    }

    private static String joined(List<Integer> numbers) {
        return numbers.stream().map(String::valueOf).collect(Collectors.joining("-"));
    }
}
