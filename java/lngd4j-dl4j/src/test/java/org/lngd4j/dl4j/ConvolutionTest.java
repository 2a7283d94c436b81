// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.deeplearning4j.nn.conf.CNN2DFormat;
import org.deeplearning4j.nn.conf.ConvolutionMode;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.RNNFormat;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.Convolution1DLayer;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.Deconvolution2D;
import org.deeplearning4j.nn.conf.layers.DepthwiseConvolution2D;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.PoolingType;
import org.deeplearning4j.nn.conf.layers.SeparableConvolution2D;
import org.deeplearning4j.nn.conf.layers.SubsamplingLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lngd4j.Convolution;
import org.lngd4j.Field;
import org.lngd4j.LayerRegistration;
import org.lngd4j.LayerSpec;
import org.lngd4j.LngdOptions;
import org.lngd4j.Treatment;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** LNGD on DL4J's convolutions. */
@SuppressWarnings("try") // attachments that are only opened and closed
class ConvolutionTest {
    private static final int CLASSES = 3;
    private static final LngdOptions EMPIRICAL =
            LngdOptions.recipeEmpirical(40).statisticsInterval(1).inverseInterval(1).build();

    private static MultiLayerNetwork net(InputType input, Layer... layers) {
        NeuralNetConfiguration.ListBuilder list =
                new NeuralNetConfiguration.Builder().seed(7).updater(new Adam(1e-3)).list();
        for (Layer layer : layers) {
            list.layer(layer);
        }
        MultiLayerNetwork net = new MultiLayerNetwork(list.setInputType(input).build());
        net.init();
        return net;
    }

    private static ConvolutionLayer.Builder conv(int out, int... kernel) {
        return new ConvolutionLayer.Builder(kernel).nOut(out).activation(Activation.TANH);
    }

    private static final InputType SEQUENCE = InputType.recurrent(3, 11);

    private static Convolution1DLayer.Builder sequence(int kernel) {
        return new Convolution1DLayer.Builder(kernel).nOut(4).activation(Activation.TANH);
    }

    private static OutputLayer output() {
        return new OutputLayer.Builder(LossFunction.MCXENT)
                .nOut(CLASSES)
                .activation(Activation.SOFTMAX)
                .build();
    }

    static Stream<Object[]> geometries() {
        InputType image = InputType.convolutional(9, 8, 2);
        InputType last = InputType.convolutional(9, 8, 2, CNN2DFormat.NHWC);
        ConvolutionMode same = ConvolutionMode.Same;
        return Stream.of(
                new Object[] {"3x3", image, conv(4, 3, 3).build()},
                new Object[] {"1x1", image, conv(4, 1, 1).build()},
                new Object[] {
                    "strides, padding", image, conv(4, 3, 2).stride(2, 1).padding(1, 0).build()
                },
                new Object[] {"dilation", image, conv(4, 2, 3).dilation(2, 2).build()},
                new Object[] {"same", image, conv(4, 3, 3).convolutionMode(same).build()},
                new Object[] {
                    "same, even kernel", image, conv(4, 2, 4).convolutionMode(same).build()
                },
                new Object[] {
                    "same, stride 2",
                    image,
                    conv(4, 3, 3).stride(2, 2).convolutionMode(same).build()
                },
                new Object[] {"no bias", image, conv(4, 3, 3).hasBias(false).build()},
                new Object[] {
                    "NHWC", last, conv(4, 3, 3).stride(2, 2).dataFormat(CNN2DFormat.NHWC).build()
                },
                new Object[] {
                    "depthwise",
                    image,
                    new DepthwiseConvolution2D.Builder(3, 2)
                            .depthMultiplier(3)
                            .activation(Activation.TANH)
                            .build()
                },
                new Object[] {"1-D", SEQUENCE, sequence(3).build()},
                new Object[] {"1-D, no bias", SEQUENCE, sequence(1).hasBias(false).build()},
                new Object[] {
                    "1-D, stride, padding, dilation",
                    SEQUENCE,
                    sequence(3).stride(2).padding(2).dilation(2).build()
                },
                new Object[] {"1-D, same", SEQUENCE, sequence(3).convolutionMode(same).build()},
                new Object[] {
                    "1-D, same, even kernel, dilation",
                    SEQUENCE,
                    sequence(4).dilation(3).convolutionMode(same).build()
                },
                new Object[] {
                    "1-D, causal",
                    SEQUENCE,
                    sequence(3).convolutionMode(ConvolutionMode.Causal).build()
                },
                new Object[] {
                    "1-D, causal, stride, dilation",
                    SEQUENCE,
                    sequence(3)
                            .stride(2)
                            .dilation(2)
                            .convolutionMode(ConvolutionMode.Causal)
                            .build()
                },
                new Object[] {
                    "depthwise, NHWC",
                    last,
                    new DepthwiseConvolution2D.Builder(3, 2)
                            .depthMultiplier(2)
                            .dataFormat(CNN2DFormat.NHWC)
                            .activation(Activation.TANH)
                            .build()
                });
    }

    /** Random images whose class is told by where they are bright. */
    private static DataSet data(int n, long[] image, long seed) {
        Random random = new Random(seed);
        INDArray x = Nd4j.create(withBatch(n, image));
        INDArray y = Nd4j.zeros(n, CLASSES);
        long size = x.length() / n;
        INDArray flat = x.reshape('c', n, size);
        for (int i = 0; i < n; i++) {
            int label = random.nextInt(CLASSES);
            y.putScalar(i, label, 1);
            for (long j = 0; j < size; j++) {
                double bright = j * CLASSES / size == label ? 1 : 0;
                flat.putScalar(i, j, random.nextGaussian() + bright);
            }
        }
        return new DataSet(x, y);
    }

    private static long[] withBatch(int n, long[] image) {
        long[] shape = new long[image.length + 1];
        shape[0] = n;
        System.arraycopy(image, 0, shape, 1, image.length);
        return shape;
    }

    /** The weight gradient from what was captured, summed in the order of the definition. */
    private static double[][] gradient(LayerSpec spec, INDArray a, INDArray delta) {
        List<Convolution.Axis> axes = spec.convolution().axes();
        boolean flat = axes.size() == 1;
        Convolution.Axis rows = flat ? new Convolution.Axis(1, 1, 0, 0, 1) : axes.get(0);
        Convolution.Axis columns = axes.get(axes.size() - 1);
        INDArray x = flat ? a.reshape(a.size(0), a.size(1), 1, a.size(2)) : a;
        INDArray d = flat ? delta.reshape(delta.size(0), delta.size(1), 1, delta.size(2)) : delta;
        int channels = (int) (spec.inputs() / spec.groups());
        int outputs = (int) (spec.outputs() / spec.groups());
        double[][] sum = new double[(int) spec.outputs()][(int) spec.weightColumns()];
        int top = before(spec, rows, x.size(2), d.size(2));
        int left = before(spec, columns, x.size(3), d.size(3));
        for (int n = 0; n < x.size(0); n++) {
            for (int i = 0; i < spec.outputs(); i++) {
                int first = i / outputs * channels;
                for (int oy = 0; oy < d.size(2); oy++) {
                    for (int ox = 0; ox < d.size(3); ox++) {
                        double g = d.getDouble(n, i, oy, ox);
                        int at = 0;
                        for (int c = 0; c < channels; c++) {
                            for (int ky = 0; ky < rows.kernel(); ky++) {
                                for (int kx = 0; kx < columns.kernel(); kx++, at++) {
                                    int y = oy * rows.stride() - top + ky * rows.dilation();
                                    int z = ox * columns.stride() - left + kx * columns.dilation();
                                    if (y >= 0 && y < x.size(2) && z >= 0 && z < x.size(3)) {
                                        sum[i][at] += g * x.getDouble(n, first + c, y, z);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        return sum;
    }

    private static int before(LayerSpec spec, Convolution.Axis axis, long size, long positions) {
        if (!spec.convolution().same()) {
            return axis.before();
        }
        long reach = (positions - 1) * axis.stride() + axis.dilation() * (axis.kernel() - 1L) + 1;
        return (int) Math.max(reach - size, 0) / 2;
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("geometries")
    void whatIsCapturedMakesTheGradient(String name, InputType input, Layer layer) {
        MultiLayerNetwork net =
                net(input, layer, new GlobalPoolingLayer(PoolingType.AVG), output());
        DataSet data =
                data(
                        6,
                        Arrays.copyOfRange(input.getShape(true), 1, input.getShape(true).length),
                        3);
        try (LngdTraining lngd = Lngd.attach(net, EMPIRICAL)) {
            LayerSpec spec = lngd.report().layers().get(0).spec();
            assertThat(spec.convolution()).isNotNull();
            net.setInput(data.getFeatures());
            net.setLabels(data.getLabels());
            net.computeGradientAndScore();
            LayerCapture capture = lngd.captures().get(0);
            INDArray dW = capture.weights(net.gradient().getGradientFor("0_W"));
            assertThat(dW.shape()).containsExactly(spec.outputs(), spec.weightColumns());
            double[][] mine =
                    gradient(spec, Nets.inputs(capture.samples()), Nets.deltas(capture.samples()));
            double largest = dW.amaxNumber().doubleValue();
            assertThat(largest).isGreaterThan(1e-4);
            for (int i = 0; i < spec.outputs(); i++) {
                for (int j = 0; j < spec.weightColumns(); j++) {
                    // Sums of a few hundred float products.
                    assertThat(dW.getDouble(i, j))
                            .as("%s: dW(%d, %d)", name, i, j)
                            .isCloseTo(
                                    mine[i][j],
                                    org.assertj.core.data.Offset.offset(1e-5 * largest + 1e-7));
                }
            }
            INDArray before = net.params().dup();
            net.fit(data);
            assertThat(net.params()).isNotEqualTo(before);
            assertThat(lngd.optimizer().health(0).lastStepSkipped()).isFalse();
            // One Phi for each group, symmetric, with a positive diagonal.
            INDArray phi = Nets.read(lngd, 0, Field.PHI);
            long d = spec.columns();
            assertThat(phi.length()).isEqualTo(spec.groups() * d * d);
            assertThat(phi.reshape(spec.groups(), d, d).getDouble(0, 0, 0)).isGreaterThan(0);
        }
    }

    private static double accuracy(MultiLayerNetwork net, DataSet data) {
        INDArray hits = net.output(data.getFeatures()).argMax(1).eq(data.getLabels().argMax(1));
        return hits.castTo(DataType.DOUBLE).meanNumber().doubleValue();
    }

    @Test
    void aSmallConvolutionalNetworkLearns() {
        InputType image = InputType.convolutional(12, 12, 1);
        MultiLayerNetwork net =
                net(
                        image,
                        conv(6, 3, 3).activation(Activation.RELU).build(),
                        new SubsamplingLayer.Builder().kernelSize(2, 2).stride(2, 2).build(),
                        conv(8, 3, 3).activation(Activation.IDENTITY).hasBias(false).build(),
                        new BatchNormalization(),
                        new ActivationLayer(Activation.RELU),
                        output());
        DataSet test = data(200, new long[] {1, 12, 12}, 99);
        double before = accuracy(net, test);
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipe(60).build())) {
            for (int t = 0; t < 60; t++) {
                net.fit(data(64, new long[] {1, 12, 12}, t));
            }
            assertThat(lngd.report().with(Treatment.LNGD)).hasSize(3);
        }
        // 48 bright pixels with noise 1 beside 96 others: nearly separable.
        assertThat(before).isLessThan(0.7);
        assertThat(accuracy(net, test)).isGreaterThan(0.95);
    }

    @Test
    void whatHasNoBlockFallsBackAndSaysSo() {
        MultiLayerNetwork net =
                net(
                        InputType.convolutional(8, 8, 2),
                        conv(4, 3, 3).build(),
                        new SeparableConvolution2D.Builder(3, 3).nOut(4).build(),
                        new Deconvolution2D.Builder(2, 2).nOut(3).build(),
                        output());
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipe(10).build())) {
            assertThat(lngd.report().with(Treatment.FIRST_ORDER))
                    .extracting(LayerRegistration::type)
                    .containsExactly("SeparableConvolution2D", "Deconvolution2D");
            assertThat(lngd.report().toString()).contains("no Kronecker block for Deconvolution2D");
            net.fit(data(8, new long[] {2, 8, 8}, 1));
        }
    }

    @Test
    void sequencesAreTrainedByLngdToTheOutputBehindThePooling() {
        MultiLayerNetwork net =
                net(
                        SEQUENCE,
                        sequence(3).build(),
                        sequence(2).convolutionMode(ConvolutionMode.Causal).build(),
                        new GlobalPoolingLayer(PoolingType.AVG),
                        output());
        DataSet test = data(200, new long[] {3, 11}, 99);
        double before = accuracy(net, test);
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipe(60).build())) {
            assertThat(lngd.report().layers())
                    .extracting(LayerRegistration::treatment)
                    .containsExactly(
                            Treatment.LNGD,
                            Treatment.LNGD,
                            Treatment.NO_PARAMETERS,
                            Treatment.LNGD);
            assertThat(lngd.report().layers().get(0).detail()).startsWith("3 on 3+1 x 4");
            for (int t = 0; t < 60; t++) {
                net.fit(data(64, new long[] {3, 11}, t));
            }
        }
        // Each class has one bright channel of eleven steps.
        assertThat(before).isLessThan(0.7);
        assertThat(accuracy(net, test)).isGreaterThan(0.9);
    }

    /** Lengths may change, where the padding does not depend on them. */
    @Test
    void sequencesMayChangeTheirLength() {
        MultiLayerNetwork net =
                net(
                        InputType.recurrent(3),
                        sequence(3).convolutionMode(ConvolutionMode.Same).build(),
                        new GlobalPoolingLayer(PoolingType.MAX),
                        output());
        try (LngdTraining lngd = Lngd.attach(net, EMPIRICAL)) {
            net.fit(data(5, new long[] {3, 6}, 1));
            net.fit(data(4, new long[] {3, 17}, 2));
            assertThat(lngd.optimizer().health(0).steps()).isEqualTo(2);
            assertThat(lngd.optimizer().health(0).skippedSteps()).isZero();
        }
    }

    static Stream<Object[]> sequencesThatFallBack() {
        return Stream.of(
                new Object[] {
                    InputType.recurrent(3, 11, RNNFormat.NWC),
                    sequence(3).rnnDataFormat(RNNFormat.NWC).build(),
                    "NWC"
                },
                new Object[] {
                    SEQUENCE,
                    sequence(3).stride(2).convolutionMode(ConvolutionMode.Same).build(),
                    "depends on the length"
                });
    }

    @ParameterizedTest
    @MethodSource("sequencesThatFallBack")
    void sequencesFallBackWhereTheyMust(InputType input, Layer layer, String reason) {
        MultiLayerNetwork net =
                net(input, layer, new GlobalPoolingLayer(PoolingType.AVG), output());
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipe(10).build())) {
            assertThat(lngd.report().layers().get(0).treatment()).isEqualTo(Treatment.FIRST_ORDER);
            assertThat(lngd.report().layers().get(0).detail()).contains(reason);
            assertThat(lngd.report().layers().get(2).treatment()).isEqualTo(Treatment.LNGD);
        }
    }

    /** Where this fails, DL4J was repaired, and LNGD can have sequences on NWC. */
    @Test
    void dl4jCannotBackPropagateThroughSequencesOnNwc() {
        MultiLayerNetwork net =
                net(
                        InputType.recurrent(3, 11, RNNFormat.NWC),
                        sequence(3).rnnDataFormat(RNNFormat.NWC).build(),
                        new GlobalPoolingLayer.Builder(PoolingType.AVG)
                                .poolingDimensions(1)
                                .build(),
                        output());
        DataSet data = data(6, new long[] {11, 3}, 3);
        assertThat(net.output(data.getFeatures()).shape()).containsExactly(6, CLASSES);
        assertThatThrownBy(() -> net.fit(data)).hasMessageContaining("conv1d_bp");
    }

    @Test
    void theBareConvolutionTakesTheActivationAfterIt() {
        MultiLayerNetwork net =
                net(
                        InputType.convolutional(6, 6, 1),
                        conv(4, 3, 3).activation(Activation.IDENTITY).build(),
                        new ActivationLayer(Activation.RELU),
                        output());
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipe(10).build())) {
            assertThat(lngd.report().layers().get(0).spec().activation())
                    .isEqualTo(org.lngd4j.Activation.RELU);
            assertThat(lngd.report().layers().get(0).detail()).startsWith("3x3 on 1+1 x 4");
        }
    }

    @Test
    void batchesAndImagesMayChangeTheirSize() {
        MultiLayerNetwork net =
                new MultiLayerNetwork(
                        new NeuralNetConfiguration.Builder()
                                .updater(new Sgd(0.1))
                                .list()
                                .layer(
                                        conv(4, 3, 3)
                                                .nIn(1)
                                                .convolutionMode(ConvolutionMode.Same)
                                                .stride(2, 2)
                                                .build())
                                .layer(new GlobalPoolingLayer(PoolingType.MAX))
                                .layer(
                                        new OutputLayer.Builder(LossFunction.MCXENT)
                                                .nIn(4)
                                                .nOut(CLASSES)
                                                .activation(Activation.SOFTMAX)
                                                .build())
                                .build());
        net.init();
        try (LngdTraining lngd = Lngd.attach(net, EMPIRICAL)) {
            net.fit(data(5, new long[] {1, 6, 6}, 1));
            net.fit(data(9, new long[] {1, 7, 8}, 2));
            net.fit(data(3, new long[] {1, 5, 5}, 3));
            assertThat(lngd.optimizer().health(0).steps()).isEqualTo(3);
            assertThat(lngd.optimizer().health(0).skippedSteps()).isZero();
        }
    }
}
