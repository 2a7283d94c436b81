// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.RNNFormat;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.EmbeddingLayer;
import org.deeplearning4j.nn.conf.layers.EmbeddingSequenceLayer;
import org.deeplearning4j.nn.conf.layers.FeedForwardLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.PoolingType;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lngd4j.Field;
import org.lngd4j.LayerSamples;
import org.lngd4j.LngdOptions;
import org.lngd4j.Treatment;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.Sgd;

/** LNGD on DL4J's embeddings. */
@SuppressWarnings("try") // attachments that are only opened and closed
class EmbeddingTest {
    private static final int VOCABULARY = 30;
    private static final int WIDTH = 6;
    private static final int LENGTH = 5;
    private static final LngdOptions EMPIRICAL =
            LngdOptions.recipeEmpirical(40).statisticsInterval(1).inverseInterval(1).build();

    private static EmbeddingSequenceLayer.Builder sequence() {
        return new EmbeddingSequenceLayer.Builder().nIn(VOCABULARY).nOut(WIDTH).inputLength(LENGTH);
    }

    private static EmbeddingLayer.Builder single() {
        return new EmbeddingLayer.Builder().nIn(VOCABULARY).nOut(WIDTH);
    }

    private static MultiLayerNetwork pooled(EmbeddingSequenceLayer layer) {
        return Nets.of(
                new Adam(1e-3),
                layer,
                new GlobalPoolingLayer.Builder(PoolingType.AVG)
                        .poolingDimensions(layer.getOutputFormat() == RNNFormat.NWC ? 1 : 2)
                        .build(),
                Nets.softmax(WIDTH));
    }

    private static MultiLayerNetwork direct(FeedForwardLayer layer) {
        return Nets.of(
                new Adam(1e-3), layer, Nets.dense(WIDTH, 8, Activation.TANH), Nets.softmax(8));
    }

    /** Indices with repetitions, the largest never met; labels by the sum of the indices. */
    private static DataSet data(int rows, long... shape) {
        Random random = new Random(5);
        INDArray x = Nd4j.zeros(DataType.FLOAT, shape);
        INDArray y = Nd4j.zeros(DataType.FLOAT, rows, Nets.CLASSES);
        long each = x.length() / rows;
        INDArray flat = x.reshape(rows, each);
        for (int n = 0; n < rows; n++) {
            int sum = 0;
            for (long t = 0; t < each; t++) {
                double u = random.nextDouble();
                int index = (int) ((VOCABULARY - 1) * u * u);
                flat.putScalar(n, t, index);
                sum += index;
            }
            y.putScalar(n, sum % Nets.CLASSES, 1);
        }
        return new DataSet(x, y);
    }

    static Stream<Object[]> layers() {
        long n = 9;
        return Stream.of(
                new Object[] {"one index", direct(single().build()), new long[] {n, 1}, false},
                new Object[] {
                    "one index, bias, tanh",
                    direct(single().hasBias(true).activation(Activation.TANH).build()),
                    new long[] {n, 1},
                    true
                },
                new Object[] {
                    "a sequence", pooled(sequence().build()), new long[] {n, LENGTH}, false
                },
                new Object[] {
                    "a sequence with a channel axis",
                    pooled(sequence().activation(Activation.SIGMOID).build()),
                    new long[] {n, 1, LENGTH},
                    false
                },
                new Object[] {
                    "a sequence with bias",
                    pooled(sequence().hasBias(true).activation(Activation.RELU).build()),
                    new long[] {n, LENGTH},
                    true
                },
                new Object[] {
                    "a sequence, its outputs NWC",
                    pooled(
                            sequence()
                                    .hasBias(true)
                                    .outputDataFormat(RNNFormat.NWC)
                                    .activation(Activation.TANH)
                                    .build()),
                    new long[] {n, LENGTH},
                    true
                },
                new Object[] {
                    "an activation of DL4J's own",
                    pooled(sequence().activation(Activation.CUBE).build()),
                    new long[] {n, LENGTH},
                    false
                });
    }

    /** What was captured gives DL4J's gradient, and the statistics are those of the formula. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("layers")
    void capturesAndStatistics(String name, MultiLayerNetwork net, long[] shape, boolean bias) {
        check(net, data((int) shape[0], shape), null, bias);
    }

    @Test
    void integersAreTakenToo() {
        DataSet data = data(9, 9, LENGTH);
        data.setFeatures(data.getFeatures().castTo(DataType.INT32));
        check(pooled(sequence().build()), data, null, false);
    }

    @Test
    void masksLeaveDeltasOut() {
        INDArray mask = Nd4j.ones(DataType.FLOAT, 9, LENGTH);
        for (int n = 0; n < 9; n++) {
            for (int t = 1 + n % LENGTH; t < LENGTH; t++) {
                mask.putScalar(n, t, 0);
            }
        }
        check(pooled(sequence().hasBias(true).build()), data(9, 9, LENGTH), mask, true);
    }

    private static void check(MultiLayerNetwork net, DataSet data, INDArray mask, boolean bias) {
        try (LngdTraining lngd = Lngd.attach(net, EMPIRICAL)) {
            assertThat(lngd.report().layers().get(0).treatment()).isEqualTo(Treatment.LNGD);
            assertThat(lngd.report().toString()).contains("one of " + VOCABULARY);
            net.setInput(data.getFeatures());
            net.setLabels(data.getLabels());
            net.setLayerMaskArrays(mask, null);
            net.computeGradientAndScore();
            LayerSamples s = lngd.captures().get(0).samples();
            INDArray dW = net.gradient().getGradientFor("0_W");
            INDArray db = net.gradient().getGradientFor("0_b");
            INDArray expected = Nd4j.zeros(DataType.FLOAT, VOCABULARY, WIDTH);
            INDArray expectedBias = Nd4j.zeros(DataType.FLOAT, WIDTH);
            long length = Nets.inputs(s).size(1);
            INDArray deltas = Nets.deltas(s).reshape('c', Nets.inputs(s).size(0), WIDTH, length);
            for (long n = 0; n < Nets.inputs(s).size(0); n++) {
                for (long t = 0; t < length; t++) {
                    long index = Nets.inputs(s).getLong(n, t);
                    for (long i = 0; i < WIDTH; i++) {
                        double delta = deltas.getDouble(n, i, t);
                        expected.putScalar(index, i, expected.getDouble(index, i) + delta);
                        expectedBias.putScalar(i, expectedBias.getDouble(i) + delta);
                    }
                }
            }
            assertClose(dW, expected);
            assertThat(dW.amaxNumber().doubleValue()).isGreaterThan(1e-4);
            if (bias) {
                assertClose(db.reshape(WIDTH), expectedBias);
            }
            INDArray before = net.getParam("0_W").dup();
            net.setLayerMaskArrays(null, null);
            net.fit(new DataSet(data.getFeatures(), data.getLabels(), mask, null));
            assertThat(lngd.optimizer().health(0).skippedSteps()).isZero();
            assertThat(lngd.optimizer().health(0).statisticsUpdates()).isEqualTo(1);
            INDArray phi = Nets.read(lngd, 0, Field.PHI);
            assertThat(phi.length()).isEqualTo(VOCABULARY + (bias ? 1 : 0));
            assertThat(phi.getDouble(0)).isPositive();
            assertThat(phi.getDouble(VOCABULARY - 1)).isZero();
            // Indices that were not met stay where they are, the others move.
            INDArray moved = net.getParam("0_W").sub(before);
            assertThat(moved.getRow(VOCABULARY - 1).amaxNumber().doubleValue()).isZero();
            assertThat(moved.amaxNumber().doubleValue()).isGreaterThan(1e-6);
        }
    }

    /** Sums of at most 45 terms: 1e-5 of the largest entry is rounding. */
    private static void assertClose(INDArray actual, INDArray expected) {
        double largest = expected.amaxNumber().doubleValue();
        assertThat(actual.sub(expected).amaxNumber().doubleValue())
                .isLessThanOrEqualTo(1e-5 * largest + 1e-7);
    }

    @Test
    void aBareEmbeddingTakesTheActivationThatFollowsIt() {
        MultiLayerNetwork net =
                Nets.of(
                        new Sgd(0.1),
                        single().build(),
                        new ActivationLayer(Activation.SIGMOID),
                        Nets.softmax(WIDTH));
        try (LngdTraining lngd = Lngd.attach(net, EMPIRICAL)) {
            assertThat(lngd.report().layers().get(0).spec().activation())
                    .isEqualTo(org.lngd4j.Activation.SIGMOID);
            net.fit(data(9, 9, 1));
            assertThat(lngd.optimizer().health(0).skippedSteps()).isZero();
        }
    }

    /** DL4J cuts a fraction off; LNGD's statistics do not take the batch. */
    @Test
    void fractionsAndForeignIndices() {
        MultiLayerNetwork net = direct(single().build());
        try (LngdTraining lngd = Lngd.attach(net, EMPIRICAL)) {
            DataSet data = data(9, 9, 1);
            data.getFeatures().putScalar(4, 0, 2.5);
            net.fit(data);
            assertThat(lngd.optimizer().health(0).skippedStatistics()).isEqualTo(1);
            assertThat(lngd.optimizer().health(0).skippedSteps()).isEqualTo(1);
            data.getFeatures().putScalar(4, 0, VOCABULARY);
            assertThatThrownBy(() -> net.fit(data)).hasMessageContaining("Invalid index");
            data.getFeatures().putScalar(4, 0, 2);
            net.fit(data);
            assertThat(lngd.optimizer().health(0).statisticsUpdates()).isEqualTo(1);
            assertThat(lngd.optimizer().health(0).skippedSteps()).isEqualTo(1);
        }
    }

    private static ComputationGraph graph() {
        ComputationGraphConfiguration conf =
                new NeuralNetConfiguration.Builder()
                        .seed(7)
                        .updater(new Adam(1e-3))
                        .graphBuilder()
                        .addInputs("words")
                        .addLayer(
                                "embed",
                                sequence().nIn(200).nOut(8).inputLength(8).build(),
                                "words")
                        .addLayer(
                                "pool",
                                new GlobalPoolingLayer.Builder(PoolingType.AVG).build(),
                                "embed")
                        .addLayer("classes", Nets.softmax(8), "pool")
                        .setOutputs("classes")
                        .build();
        ComputationGraph net = new ComputationGraph(conf);
        net.init();
        return net;
    }

    /**
     * A text-like toy: each of 200 words belongs to one of 4 topics, 5 of the 8 words of a text are
     * of its topic, words have the frequencies 1/rank. Only the words tell the topic, so the
     * embedding has to be learnt.
     */
    private static List<DataSet> texts(int batches, int rows, long seed) {
        Random random = new Random(seed);
        double[] cumulative = new double[50];
        double sum = 0;
        for (int k = 0; k < cumulative.length; k++) {
            sum += 1.0 / (k + 1);
            cumulative[k] = sum;
        }
        List<DataSet> list = new ArrayList<>();
        for (int b = 0; b < batches; b++) {
            INDArray x = Nd4j.zeros(DataType.FLOAT, rows, 8);
            INDArray y = Nd4j.zeros(DataType.FLOAT, rows, Nets.CLASSES);
            for (int n = 0; n < rows; n++) {
                int topic = random.nextInt(Nets.CLASSES);
                y.putScalar(n, topic, 1);
                for (int t = 0; t < 8; t++) {
                    int of = t < 5 ? topic : random.nextInt(Nets.CLASSES);
                    double u = random.nextDouble() * sum;
                    int rank = 0;
                    while (cumulative[rank] < u) {
                        rank++;
                    }
                    x.putScalar(n, t, 4 * rank + of);
                }
            }
            list.add(new DataSet(x, y));
        }
        return list;
    }

    @Test
    void aTextLikeToyIsLearnt() {
        List<DataSet> training = texts(30, 64, 1);
        DataSet test = DataSet.merge(texts(10, 64, 2));
        LngdOptions options =
                LngdOptions.recipe(150).statisticsInterval(5).inverseInterval(10).build();
        ComputationGraph net = graph();
        try (LngdTraining lngd = Lngd.attach(net, options)) {
            assertThat(lngd.report().with(Treatment.LNGD)).hasSize(2);
            for (int epoch = 0; epoch < 5; epoch++) {
                training.forEach(net::fit);
            }
            assertThat(lngd.optimizer().health(0).skippedSteps()).isZero();
        }
        int right = 0;
        INDArray p = net.outputSingle(test.getFeatures());
        for (int n = 0; n < p.rows(); n++) {
            right += test.getLabels().getInt(n, p.getRow(n).argMax().getInt(0));
        }
        // 5 of 8 words are of the topic, so the topic of most words is always right; a word of the
        // test that training never met (it has 15,360 words of 200) takes little away. Without
        // learning: 0.25.
        assertThat((double) right / p.rows()).isGreaterThan(0.95);
    }
}
