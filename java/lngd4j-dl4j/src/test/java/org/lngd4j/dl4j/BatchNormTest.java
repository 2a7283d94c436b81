// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.datasets.iterator.utilty.ListDataSetIterator;
import org.deeplearning4j.nn.conf.CNN2DFormat;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DropoutLayer;
import org.deeplearning4j.nn.conf.layers.misc.FrozenLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.LngdOptions;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.ops.transforms.Transforms;

/** Running statistics of batch normalisation under the averaged weights. */
@SuppressWarnings("try") // attachments that are only opened and closed
class BatchNormTest {
    private static final LngdOptions OPTIONS = LngdOptions.recipe(40).build();
    private static final int BATCH = 20;

    /** Two normalisations, one of each way that DL4J keeps a variance; dropout between them. */
    private static MultiLayerNetwork net() {
        return Nets.of(
                new Adam(1e-2),
                Nets.dense(Nets.INPUTS, 6, Activation.TANH),
                new BatchNormalization.Builder().nOut(6).useLogStd(true).build(),
                new DropoutLayer.Builder(0.5).build(),
                Nets.dense(6, 5, Activation.RELU),
                new BatchNormalization.Builder().nOut(5).useLogStd(false).build(),
                Nets.softmax(5));
    }

    private static ListDataSetIterator<DataSet> data(int batches) {
        List<DataSet> samples = new ArrayList<>();
        Nets.batches(batches, BATCH).forEach(batch -> samples.addAll(batch.asList()));
        return new ListDataSetIterator<>(samples, BATCH);
    }

    private static void fit(MultiLayerNetwork net, int from, int to) {
        for (int t = from; t < to; t++) {
            net.fit(Nets.data(BATCH, t, 1));
        }
    }

    private static INDArray param(MultiLayerNetwork net, String name) {
        return net.getParam(name).castTo(DataType.DOUBLE);
    }

    private static INDArray dense(MultiLayerNetwork net, int layer, INDArray x) {
        return x.mmul(param(net, layer + "_W")).addRowVector(param(net, layer + "_b"));
    }

    private static void assertClose(INDArray is, INDArray expected) {
        // Forward passes in float32 against double: some roundings of 2^-24 of numbers of about 1.
        assertThat(is.castTo(DataType.DOUBLE).ravel().distance2(expected.ravel())).isLessThan(1e-5);
    }

    private static INDArray log10Deviation(INDArray variance) {
        return Transforms.log(variance).muli(0.5 / Math.log(10));
    }

    /** By hand, in double precision, with the weights that close() leaves. */
    @Test
    void theyAreTheMomentsOfAllRowsUnderTheAverages() {
        MultiLayerNetwork net = net();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            fit(net, 0, 8);
            INDArray trained = net.getParam("1_mean").dup();
            assertThat(lngd.reestimateBatchNorm(data(5), 3)).isEqualTo(2);
            assertThat(net.getParam("1_mean")).isEqualTo(trained);
        }
        INDArray[] first = new INDArray[3];
        INDArray[] second = new INDArray[3];
        List<DataSet> batches = Nets.batches(3, BATCH);
        for (int i = 0; i < 3; i++) {
            INDArray x = batches.get(i).getFeatures().castTo(DataType.DOUBLE);
            first[i] = Transforms.tanh(dense(net, 0, x));
            // Normalised by its own batch.
            INDArray n = first[i].subRowVector(first[i].mean(0));
            n = n.divRowVector(Transforms.sqrt(first[i].var(false, 0).addi(1e-5)));
            n = n.mulRowVector(param(net, "1_gamma")).addRowVector(param(net, "1_beta"));
            second[i] = Transforms.relu(dense(net, 3, n));
        }
        INDArray one = Nd4j.vstack(first);
        INDArray two = Nd4j.vstack(second);
        assertClose(net.getParam("1_mean"), one.mean(0));
        assertClose(net.getParam("1_log10stdev"), log10Deviation(one.var(false, 0)));
        assertClose(net.getParam("4_mean"), two.mean(0));
        assertClose(net.getParam("4_var"), two.var(false, 0));
    }

    /** The training, its running statistics included, has the bits that it had without. */
    @Test
    void theyComeAndGoWithTheAverages() {
        AttachOptions attach = AttachOptions.defaults().leaveAverages(false);
        MultiLayerNetwork plain = net();
        MultiLayerNetwork net = net();
        try (LngdTraining a = Lngd.attach(plain, OPTIONS, attach);
                LngdTraining lngd = Lngd.attach(net, OPTIONS, attach)) {
            Nd4j.getRandom().setSeed(3);
            fit(plain, 0, 4);
            Nd4j.getRandom().setSeed(3);
            fit(net, 0, 4);
            INDArray running = net.getParam("4_mean").dup();
            lngd.reestimateBatchNorm(data(3), 3);
            INDArray estimated;
            try (AveragedWeights averaged = lngd.averagedWeights()) {
                estimated = net.getParam("4_mean").dup();
                assertThat(estimated).isNotEqualTo(running);
                // Other batches, while they are in the network.
                lngd.reestimateBatchNorm(data(3), 1);
                assertThat(net.getParam("4_mean")).isNotEqualTo(estimated).isNotEqualTo(running);
            }
            assertThat(net.params()).isEqualTo(plain.params());
            lngd.reestimateBatchNorm(data(3), 3);
            try (AveragedWeights averaged = lngd.averagedWeights()) {
                assertThat(net.getParam("4_mean")).isEqualTo(estimated);
            }
            Nd4j.getRandom().setSeed(4);
            fit(plain, 4, 8);
            Nd4j.getRandom().setSeed(4);
            fit(net, 4, 8);
            // Stale after a step: the statistics of the training are what there is.
            running = net.getParam("4_mean").dup();
            try (AveragedWeights averaged = lngd.averagedWeights()) {
                assertThat(net.getParam("4_mean")).isEqualTo(running);
            }
            lngd.reestimateBatchNorm(data(3), 3);
        }
        assertThat(net.params()).isEqualTo(plain.params());
        assertThat(net.getUpdater().getStateViewArray())
                .isEqualTo(plain.getUpdater().getStateViewArray());
    }

    /** An activation that draws, in training mode. */
    @Test
    void randomNumbersAreLeftToTheTraining() {
        MultiLayerNetwork net =
                Nets.of(
                        new Adam(1e-2),
                        Nets.dense(Nets.INPUTS, 6, Activation.RRELU),
                        new BatchNormalization.Builder().nOut(6).build(),
                        Nets.softmax(6));
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            fit(net, 0, 1);
            long root = Nd4j.getRandom().rootState();
            long node = Nd4j.getRandom().nodeState();
            lngd.reestimateBatchNorm(data(2), 2);
            assertThat(Nd4j.getRandom().rootState()).isEqualTo(root);
            assertThat(Nd4j.getRandom().nodeState()).isEqualTo(node);
        }
    }

    /** Images in both orders; a frozen normalisation stays as it is. */
    @ParameterizedTest
    @EnumSource
    void graphsAndImages(CNN2DFormat format) {
        ComputationGraph graph =
                new ComputationGraph(
                        new NeuralNetConfiguration.Builder()
                                .seed(7)
                                .updater(new Adam(1e-2))
                                .graphBuilder()
                                .addInputs("in")
                                .setInputTypes(InputType.convolutional(5, 4, 2, format))
                                .addLayer(
                                        "frozen",
                                        new FrozenLayer(
                                                new BatchNormalization.Builder()
                                                        .dataFormat(format)
                                                        .build()),
                                        "in")
                                .addLayer(
                                        "conv",
                                        new ConvolutionLayer.Builder(2, 2)
                                                .nOut(3)
                                                .dataFormat(format)
                                                .activation(Activation.IDENTITY)
                                                .build(),
                                        "frozen")
                                .addLayer(
                                        "norm",
                                        new BatchNormalization.Builder().dataFormat(format).build(),
                                        "conv")
                                .addLayer("out", Nets.softmax(0), "norm")
                                .setOutputs("out")
                                .build());
        graph.init();
        boolean last = format == CNN2DFormat.NHWC;
        List<DataSet> samples = new ArrayList<>();
        INDArray all =
                Nd4j.rand(
                        DataType.FLOAT, last ? new long[] {12, 5, 4, 2} : new long[] {12, 2, 5, 4});
        for (int i = 0; i < 12; i++) {
            INDArray label = Nd4j.zeros(1, Nets.CLASSES);
            label.putScalar(0, i % Nets.CLASSES, 1);
            samples.add(
                    new DataSet(
                            all.slice(i)
                                    .reshape(
                                            last
                                                    ? new long[] {1, 5, 4, 2}
                                                    : new long[] {1, 2, 5, 4}),
                            label));
        }
        ListDataSetIterator<DataSet> data = new ListDataSetIterator<>(samples, 5); // 5, 5 and 2
        INDArray frozen = graph.getLayer("frozen").params().dup();
        try (LngdTraining lngd = Lngd.attach(graph, OPTIONS)) {
            graph.fit(data, 2);
            assertThat(lngd.reestimateBatchNorm(data, 99)).isEqualTo(1);
        }
        assertThat(graph.getLayer("frozen").params()).isEqualTo(frozen);
        INDArray x = graph.feedForward(all, false).get("conv").castTo(DataType.DOUBLE);
        int[] others = last ? new int[] {0, 1, 2} : new int[] {0, 2, 3};
        assertClose(graph.getParam("norm_mean"), x.mean(others));
        assertClose(graph.getParam("norm_log10stdev"), log10Deviation(x.var(false, others)));
    }

    @Test
    void whatCannotBeIsRefusedByName() {
        MultiLayerNetwork net = net();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            assertThatThrownBy(() -> lngd.reestimateBatchNorm(data(1), 1))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("no step");
            fit(net, 0, 2);
            INDArray before = net.params().dup();
            assertThatThrownBy(() -> lngd.reestimateBatchNorm(data(1), 0))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("batches is 0");
            assertThatThrownBy(
                            () ->
                                    lngd.reestimateBatchNorm(
                                            new ListDataSetIterator<DataSet>(List.of(), 4), 1))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("0 batches");
            DataSet bad = Nets.data(4, 1, 1);
            bad.getFeatures().putScalar(0, 0, Double.NaN);
            assertThatThrownBy(
                            () ->
                                    lngd.reestimateBatchNorm(
                                            new ListDataSetIterator<>(bad.asList(), 4), 1))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("NaN");
            assertThat(net.params()).isEqualTo(before);
        }
        LngdOptions off = OPTIONS.toBuilder().averaging(false).build();
        try (LngdTraining lngd = Lngd.attach(net, off)) {
            fit(net, 0, 1);
            assertThatThrownBy(() -> lngd.reestimateBatchNorm(data(1), 1))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("averaging is off");
        }
        MultiLayerNetwork without = Nets.mlp();
        try (LngdTraining lngd = Lngd.attach(without, OPTIONS)) {
            fit(without, 0, 1);
            assertThat(lngd.reestimateBatchNorm(data(1), 1)).isZero();
        }
    }

    /** As many times the same channel as there are rows: a variance of 0 is a number. */
    @Test
    void aChannelThatDoesNotMove() {
        InputMoments moments = new InputMoments(false);
        moments.add(Nd4j.ones(3, 2));
        moments.add(Nd4j.ones(4, 2).muli(3));
        assertThat(moments.rows()).isEqualTo(7);
        // 3 ones and 4 threes: mean 15/7, variance 4 * 12/49.
        assertThat(moments.mean().getDouble(0))
                .isCloseTo(15.0 / 7, org.assertj.core.data.Offset.offset(1e-15));
        assertThat(moments.variance().getDouble(1))
                .isCloseTo(48.0 / 49, org.assertj.core.data.Offset.offset(1e-15));
    }
}
