// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.SubsamplingLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.weights.WeightInit;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.data.ImageShape;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.lossfunctions.LossFunctions;

/**
 * LeNet as Caffe has it: 5x5 convolution to 20 channels, 2x2 maximum, 5x5 convolution to 50, 2x2
 * maximum, 500 units, softmax; ReLU after the convolutions too, He initialisation.
 *
 * @param image the input
 * @param classes the outputs
 */
public record LeNetSpec(ImageShape image, int classes) implements ImageModelSpec {
    /** Channels of the first convolution. */
    public static final int FIRST = 20;

    /** Channels of the second convolution. */
    public static final int SECOND = 50;

    /** Units of the dense layer. */
    public static final int HIDDEN = 500;

    private static final int KERNEL = 5;
    private static final int SMALLEST = 16;

    /** Refuses images that the two convolutions would leave nothing of. */
    public LeNetSpec {
        if (image.height() < SMALLEST || image.width() < SMALLEST) {
            throw CliException.badInput(
                    "--model lenet: images of "
                            + image
                            + " are too small, at least "
                            + SMALLEST
                            + "x"
                            + SMALLEST
                            + " are needed");
        }
    }

    @Override
    public boolean reconstructs() {
        return false;
    }

    @Override
    public long parameters() {
        long area = KERNEL * KERNEL;
        return FIRST * (image.channels() * area + 1)
                + SECOND * (FIRST * area + 1)
                + HIDDEN * (pooled() + 1)
                + classes * (HIDDEN + 1L);
    }

    /** Numbers of an image after the second halving. */
    public long pooled() {
        return (long) SECOND * left(image.height()) * left(image.width());
    }

    // What two 5x5 convolutions without padding and two halvings leave of a side.
    private static int left(int side) {
        int once = (side - KERNEL + 1) / 2;
        return (once - KERNEL + 1) / 2;
    }

    @Override
    public Dl4jNetwork build(long seed, IUpdater updater) {
        MultiLayerConfiguration configuration =
                new NeuralNetConfiguration.Builder()
                        .seed(seed)
                        .dataType(DataType.FLOAT)
                        .updater(updater)
                        .activation(Activation.RELU)
                        .weightInit(WeightInit.RELU)
                        .list()
                        .layer(new ConvolutionLayer.Builder(KERNEL, KERNEL).nOut(FIRST).build())
                        .layer(pooling())
                        .layer(new ConvolutionLayer.Builder(KERNEL, KERNEL).nOut(SECOND).build())
                        .layer(pooling())
                        .layer(new DenseLayer.Builder().nOut(HIDDEN).build())
                        .layer(
                                new OutputLayer.Builder(LossFunctions.LossFunction.MCXENT)
                                        .nOut(classes)
                                        .activation(Activation.SOFTMAX)
                                        .weightInit(WeightInit.XAVIER)
                                        .build())
                        .setInputType(
                                InputType.convolutionalFlat(
                                        image.height(), image.width(), image.channels()))
                        .build();
        MultiLayerNetwork net = new MultiLayerNetwork(configuration);
        net.init();
        return Dl4jNetwork.of(net);
    }

    private static SubsamplingLayer pooling() {
        return new SubsamplingLayer.Builder(SubsamplingLayer.PoolingType.MAX)
                .kernelSize(2, 2)
                .stride(2, 2)
                .build();
    }

    /** For example {@code lenet 28x28 to 10}. */
    @Override
    public String toString() {
        return "lenet " + image + " to " + classes;
    }
}
