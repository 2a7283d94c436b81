// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.BackpropType;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.dropout.Dropout;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.CnnLossLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.LSTM;
import org.deeplearning4j.nn.conf.layers.LossLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.RnnOutputLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.optimize.api.BaseTrainingListener;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.Field;
import org.lngd4j.Fisher;
import org.lngd4j.LayerRate;
import org.lngd4j.LngdOptions;
import org.lngd4j.Treatment;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.common.primitives.Pair;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.activations.impl.ActivationTanH;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.dataset.MultiDataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Fisher.PROVIDED in whole runs: what it leaves alone, repeats, trains and refuses. */
@SuppressWarnings("try") // attachments that are only opened and closed
class SampledFisherRunTest {
    private static final LngdOptions OPTIONS = SampledFisherTest.OPTIONS;

    @TempDir private Path folder;

    private static MultiLayerNetwork noisy() {
        return SampledFisherTest.images(
                new Adam(1e-2),
                SampledFisherTest.conv(Activation.IDENTITY),
                new BatchNormalization(),
                new ActivationLayer(Activation.RELU),
                new DenseLayer.Builder().nOut(6).activation(Activation.RRELU).dropOut(0.7).build(),
                new BatchNormalization(),
                SampledFisherTest.output(LossFunction.MCXENT, Activation.SOFTMAX));
    }

    /** Gradients before the updater, scores and counters of a run in which LNGD stands still. */
    private static List<Object> trace(LngdOptions options, MultiLayerNetwork net) {
        List<Object> seen = new ArrayList<>();
        net.setListeners(
                new BaseTrainingListener() {
                    @Override
                    public void onForwardPass(Model model, List<INDArray> activations) {
                        seen.add("forward");
                    }

                    @Override
                    public void onGradientCalculation(Model model) {
                        seen.add(model.gradient().gradient().dup());
                    }

                    @Override
                    public void iterationDone(Model model, int iteration, int epoch) {
                        seen.add(List.of(iteration, epoch, model.score()));
                        seen.add(model.params().dup());
                    }
                });
        Nd4j.getRandom().setSeed(99);
        try (LngdTraining lngd =
                Lngd.attach(net, options, AttachOptions.defaults().leaveAverages(false))) {
            for (int t = 0; t < 5; t++) {
                net.fit(Nets.data(16, t, 1));
            }
            assertThat(lngd.optimizer().health(0).lastStepSkipped()).isFalse();
        }
        seen.add(Nd4j.rand(3));
        return seen;
    }

    @Test
    void theTrainingItselfIsNotDisturbed() {
        LngdOptions still = OPTIONS.toBuilder().schedule((s, e) -> 0).build();
        LngdOptions other = still.toBuilder().fisher(Fisher.EXPECTED).build();
        List<Object> mine = trace(still, noisy());
        List<Object> plain = trace(other, noisy());
        assertThat(mine).hasSize(5 * 4 + 1).isEqualTo(plain);
    }

    @Test
    void runsRepeatBitByBitAlsoAfterAResume() throws java.io.IOException {
        Path file = folder.resolve("run.zip");
        float[] straight;
        MultiLayerNetwork net = noisy();
        Nd4j.getRandom().setSeed(3);
        try (LngdTraining lngd = Lngd.attach(net, withRate())) {
            fit(net, 0, 3);
            lngd.save(file);
            Nd4j.getRandom().setSeed(4);
            fit(net, 3, 8);
        }
        straight = net.params().toFloatVector();
        MultiLayerNetwork resumed = noisy();
        try (LngdTraining lngd = Lngd.attach(resumed, withRate())) {
            fit(resumed, 20, 22);
            lngd.restore(file);
            Nd4j.getRandom().setSeed(4);
            fit(resumed, 3, 8);
        }
        assertThat(resumed.params().toFloatVector()).isEqualTo(straight);
        MultiLayerNetwork seeded = noisy();
        Nd4j.getRandom().setSeed(3);
        try (LngdTraining lngd = Lngd.attach(seeded, withRate().toBuilder().seed(12).build())) {
            fit(seeded, 0, 3);
            Nd4j.getRandom().setSeed(4);
            fit(seeded, 3, 8);
        }
        assertThat(seeded.params().toFloatVector()).isNotEqualTo(straight);
    }

    /** Statistics at some steps only, and the layer rate beside them. */
    private static LngdOptions withRate() {
        return LngdOptions.recipeEmpirical(40)
                .fisher(Fisher.PROVIDED)
                .statisticsInterval(2)
                .inverseInterval(3)
                .statisticsSamples(5)
                .build();
    }

    private static void fit(MultiLayerNetwork net, int from, int to) {
        for (int t = from; t < to; t++) {
            net.fit(Nets.data(16, t, 1));
        }
    }

    /** Loss layers, whose shape of labels DL4J checks; images of classes. */
    @Test
    void lossLayersOfGraphs() {
        var g =
                new NeuralNetConfiguration.Builder()
                        .seed(7)
                        .updater(new Adam(1e-3))
                        .graphBuilder()
                        .addInputs("in");
        g.addLayer("a", SampledFisherTest.conv(Activation.IDENTITY), "in");
        g.addLayer(
                "pixels",
                new CnnLossLayer.Builder(LossFunction.MCXENT)
                        .activation(Activation.SOFTMAX)
                        .build(),
                "a");
        g.addLayer(
                "b", new DenseLayer.Builder().nOut(4).activation(Activation.IDENTITY).build(), "a");
        g.addLayer(
                "classes",
                new LossLayer.Builder(LossFunction.XENT).activation(Activation.SIGMOID).build(),
                "b");
        g.setOutputs("pixels", "classes").setInputTypes(InputType.convolutional(3, 4, 1));
        ComputationGraph net = new ComputationGraph(g.build());
        net.init();
        MultiDataSet data = SampledFisherTest.pair(8, 1);
        INDArray pixels = Nd4j.zeros(8, 3, 2, 3);
        pixels.get(NDArrayIndex.all(), NDArrayIndex.point(0)).assign(1);
        data.setLabels(new INDArray[] {pixels, data.getLabels(0)});
        INDArray before = net.params().dup();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            assertThat(lngd.report().with(Treatment.LNGD)).hasSize(2);
            net.fit(data);
            for (int i = 0; i < 2; i++) {
                INDArray phi = Nets.read(lngd, i, Field.PHI);
                assertThat(phi.amaxNumber().doubleValue()).isGreaterThan(1e-4);
            }
        }
        assertThat(net.params()).isNotEqualTo(before);
    }

    @Test
    void aResidualGraphWithBatchNormalisationTrains() {
        ComputationGraph net = SampledFisherTest.graph(true);
        MultiDataSet data = SampledFisherTest.pair(64, 3);
        double before = net.score(data);
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            for (int t = 0; t < 40; t++) {
                net.fit(data);
            }
            assertThat(lngd.optimizer().health(0).skippedSteps()).isZero();
        }
        assertThat(net.score(data)).isLessThan(0.9 * before);
    }

    @Test
    void thePapersAblationWithBackPropagatedGradientsTrains() {
        MultiLayerNetwork net = Nets.mlp();
        DataSet test = Nets.data(500, 77, 1);
        LngdOptions options = LngdOptions.paper().fisher(Fisher.PROVIDED).build();
        assertThat(options.layerRate()).isEqualTo(LayerRate.EMPIRICAL);
        double before = net.score(test);
        try (LngdTraining lngd = Lngd.attach(net, options)) {
            for (int t = 0; t < 120; t++) {
                net.fit(Nets.data(64, t, 1));
            }
            assertThat(lngd.report().toString())
                    .contains(
                            "back-propagated from sampled targets", "second forward and backward");
        }
        assertThat(net.score(test)).isLessThan(0.7 * before);
    }

    private static void refused(MultiLayerNetwork net, String reason) {
        assertThatThrownBy(() -> Lngd.attach(net, OPTIONS))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("options.fisher is PROVIDED")
                .hasMessageContaining(reason);
    }

    @Test
    void networksWithoutSuchGradientsAreRefused() {
        refused(
                Nets.of(
                        new Sgd(0.1),
                        Nets.dense(Nets.INPUTS, 8, Activation.TANH),
                        new OutputLayer.Builder(LossFunction.HINGE)
                                .nIn(8)
                                .nOut(2)
                                .activation(Activation.IDENTITY)
                                .build()),
                "LossHinge");
        refused(
                Nets.of(
                        new Sgd(0.1),
                        new LSTM.Builder().nIn(4).nOut(3).build(),
                        new RnnOutputLayer.Builder(LossFunction.MCXENT)
                                .nIn(3)
                                .nOut(2)
                                .activation(Activation.SOFTMAX)
                                .build()),
                "LSTM");
        MultiLayerNetwork segments = Nets.mlp();
        segments.getLayerWiseConfigurations().setBackpropType(BackpropType.TruncatedBPTT);
        refused(segments, "truncated");
    }

    /**
     * Tells how many rows each backward pass had, in both networks: a clone is of this class too.
     */
    static final class Counting extends ActivationTanH {
        private static final long serialVersionUID = 1L;
        private static final List<Long> ROWS = new ArrayList<>();

        @Override
        public Pair<INDArray, INDArray> backprop(INDArray in, INDArray epsilon) {
            ROWS.add(in.size(0));
            return super.backprop(in, epsilon);
        }
    }

    private static List<Long> rows(MultiLayerNetwork net, LngdOptions options) {
        Counting.ROWS.clear();
        try (LngdTraining lngd = Lngd.attach(net, options)) {
            fit(net, 0, 3);
        }
        return Counting.ROWS;
    }

    @Test
    void theSecondPassIsOverTheFirstSamplesAndOnlyWhereStatisticsAreDue() {
        LngdOptions options =
                LngdOptions.blockKronecker(40).statisticsSamples(5).statisticsInterval(2).build();
        // The chain goes beside the backward pass, and comes to a layer first.
        MultiLayerNetwork net =
                Nets.of(new Sgd(0.1), Nets.dense(Nets.INPUTS, 8, new Counting()), Nets.softmax(8));
        assertThat(rows(net, options)).containsExactly(5L, 16L, 16L, 5L, 16L);
        // A network that drops inputs goes through its shadow, after the backward pass.
        DenseLayer dropping = Nets.dense(Nets.INPUTS, 8, new Counting());
        dropping.setIDropout(new Dropout(0.5));
        assertThat(rows(Nets.of(new Sgd(0.1), dropping, Nets.softmax(8)), options))
                .containsExactly(16L, 5L, 16L, 16L, 5L);
        ComputationGraph graph = net.toComputationGraph();
        Counting.ROWS.clear();
        try (LngdTraining lngd = Lngd.attach(graph, options)) {
            for (int t = 0; t < 3; t++) {
                graph.fit(Nets.data(16, t, 1));
            }
        }
        assertThat(Counting.ROWS).containsExactly(16L, 5L, 16L, 16L, 5L);
    }

    @Test
    void anUpdateWithoutABatchSaysSo() {
        MultiLayerNetwork net = Nets.mlp();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            net.setInput(null);
            assertThatThrownBy(
                            () ->
                                    net.getUpdater()
                                            .update(
                                                    net,
                                                    new org.deeplearning4j.nn.gradient
                                                            .DefaultGradient(
                                                            net.getFlattenedGradients()),
                                                    0,
                                                    0,
                                                    4,
                                                    org.deeplearning4j.nn.workspace
                                                            .LayerWorkspaceMgr.noWorkspaces()))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("no batch");
        }
    }
}
