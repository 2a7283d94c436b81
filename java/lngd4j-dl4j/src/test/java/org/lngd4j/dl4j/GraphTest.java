// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration.GraphBuilder;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.graph.MergeVertex;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.misc.FrozenLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.updater.graph.ComputationGraphUpdater;
import org.deeplearning4j.util.ModelSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.LayerRegistration;
import org.lngd4j.LngdOptions;
import org.lngd4j.RegistrationReport;
import org.lngd4j.Treatment;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.dataset.MultiDataSet;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.NoOp;
import org.nd4j.linalg.learning.config.Sgd;

/** LNGD on {@code ComputationGraph}. */
@SuppressWarnings("try") // attachments that are only opened and closed
class GraphTest {
    private static final LngdOptions OPTIONS =
            LngdOptions.recipeEmpirical(40).statisticsInterval(3).inverseInterval(5).build();

    @TempDir private Path folder;

    private static GraphBuilder builder() {
        return new NeuralNetConfiguration.Builder().seed(7).updater(new Adam(1e-2)).graphBuilder();
    }

    private static ComputationGraph graph(GraphBuilder builder) {
        ComputationGraph graph = new ComputationGraph(builder.build());
        graph.init();
        return graph;
    }

    /** 12 -> two residual blocks of 16, one with batch normalisation -> 4. */
    private static ComputationGraph residual() {
        return graph(
                builder()
                        .addInputs("in")
                        .addLayer("first", Nets.dense(Nets.INPUTS, 16, Activation.TANH), "in")
                        .addLayer("a1", Nets.dense(16, 16, Activation.RELU), "first")
                        .addLayer("a2", Nets.dense(16, 16, Activation.IDENTITY), "a1")
                        .addVertex(
                                "sumA",
                                new ElementWiseVertex(ElementWiseVertex.Op.Add),
                                "a2",
                                "first")
                        .addLayer("b1", Nets.dense(16, 16, Activation.TANH), "sumA")
                        .addLayer("norm", new BatchNormalization.Builder().nOut(16).build(), "b1")
                        .addVertex(
                                "sumB",
                                new ElementWiseVertex(ElementWiseVertex.Op.Add),
                                "norm",
                                "sumA")
                        .addLayer("out", Nets.softmax(16), "sumB")
                        .setOutputs("out"));
    }

    /** Two outputs on a shared trunk, one of them beside a merge. */
    private static ComputationGraph twoOutputs() {
        return graph(
                builder()
                        .addInputs("in")
                        .addLayer("trunk", Nets.dense(Nets.INPUTS, 16, Activation.TANH), "in")
                        .addLayer("left", Nets.dense(16, 8, Activation.RELU), "trunk")
                        .addLayer("right", Nets.dense(16, 6, Activation.SIGMOID), "trunk")
                        .addVertex("both", new MergeVertex(), "left", "right")
                        .addLayer("outA", Nets.softmax(14), "both")
                        .addLayer("outB", Nets.softmax(8), "left")
                        .setOutputs("outA", "outB"));
    }

    private static void fit(ComputationGraph graph, int from, int to) {
        for (int t = from; t < to; t++) {
            graph.fit(Nets.data(32, t, 1));
        }
    }

    @Test
    void aChainOfLayersGivesTheBitsOfTheSequentialNetwork() {
        MultiLayerNetwork net = Nets.mlp();
        ComputationGraph graph = net.toComputationGraph();
        graph.getUpdater().getStateViewArray().assign(0);
        AttachOptions attach = AttachOptions.defaults();
        try (LngdTraining a = Lngd.attach(net, OPTIONS, attach);
                LngdTraining b = Lngd.attach(graph, OPTIONS, attach)) {
            for (int t = 0; t < 12; t++) {
                DataSet data = Nets.data(32, t, 1);
                net.fit(data);
                graph.fit(data);
                assertThat(graph.params().toFloatVector()).isEqualTo(net.params().toFloatVector());
            }
            assertThat(b.steps()).isEqualTo(12);
        }
        assertThat(graph.params().toFloatVector()).isEqualTo(net.params().toFloatVector());
    }

    @Test
    void everyLayerIsReported() {
        ComputationGraph graph = residual();
        try (LngdTraining lngd = Lngd.attach(graph, OPTIONS)) {
            RegistrationReport report = lngd.report();
            assertThat(report.layers())
                    .extracting(LayerRegistration::name)
                    .containsExactlyInAnyOrder("first", "a1", "a2", "b1", "norm", "out");
            assertThat(report.with(Treatment.LNGD)).hasSize(5);
            assertThat(report.with(Treatment.FIRST_ORDER))
                    .singleElement()
                    .satisfies(l -> assertThat(l.type()).isEqualTo("BatchNormalization"));
            assertThat(report.parameters(Treatment.LNGD) + report.parameters(Treatment.FIRST_ORDER))
                    .isEqualTo(graph.numParams());
            assertThat(lngd.network()).isSameAs(graph);
        }
    }

    /** Sums of at most 37 products: 1e-5 of the largest entry is rounding. */
    @Test
    void whatIsCapturedMakesTheGradient() {
        ComputationGraph graph = twoOutputs();
        DataSet data = Nets.data(37, 3, 1);
        try (LngdTraining lngd = Lngd.attach(graph, OPTIONS)) {
            graph.setInputs(data.getFeatures());
            graph.setLabels(data.getLabels(), data.getLabels());
            graph.computeGradientAndScore();
            assertThat(lngd.captures()).hasSize(5);
            for (LayerCapture capture : lngd.captures()) {
                INDArray dW = graph.gradient().getGradientFor(capture.name + "_W");
                INDArray mine =
                        Nets.inputs(capture.samples())
                                .transpose()
                                .mmul(Nets.deltas(capture.samples()));
                double largest = dW.amaxNumber().doubleValue();
                assertThat(largest).as(capture.name).isGreaterThan(1e-4);
                assertThat(mine.sub(dW).amaxNumber().doubleValue())
                        .as(capture.name)
                        .isLessThanOrEqualTo(1e-5 * largest + 1e-7);
            }
        }
    }

    @Test
    void severalOutputsTrain() {
        ComputationGraph graph = twoOutputs();
        MultiDataSet data = both(Nets.data(128, 5, 1));
        double before = graph.score(data);
        try (LngdTraining lngd = Lngd.attach(graph, LngdOptions.recipe(60).build())) {
            for (int t = 0; t < 60; t++) {
                graph.fit(both(Nets.data(128, 5, 1)));
            }
        }
        // Both softmax outputs start near 2 log 4 = 2.8 together; chance cannot halve that.
        assertThat(before).isGreaterThan(2.4);
        assertThat(graph.score(data)).isLessThan(before / 2);
    }

    private static MultiDataSet both(DataSet data) {
        return new MultiDataSet(
                new INDArray[] {data.getFeatures()},
                new INDArray[] {data.getLabels(), data.getLabels()});
    }

    @Test
    void resumeIsBitwise() throws IOException {
        AttachOptions attach = AttachOptions.defaults().leaveAverages(false);
        Path file = folder.resolve("graph.zip");
        ComputationGraph straight = residual();
        float[] average;
        try (LngdTraining lngd = Lngd.attach(straight, OPTIONS, attach)) {
            fit(straight, 0, 7);
            lngd.save(file);
            fit(straight, 7, 16);
            try (AveragedWeights averaged = lngd.averagedWeights()) {
                average = straight.params().toFloatVector();
            }
        }
        ComputationGraph resumed = residual();
        fit(resumed, 50, 53);
        try (LngdTraining lngd = Lngd.attach(resumed, OPTIONS, attach)) {
            fit(resumed, 60, 62);
            lngd.restore(file);
            assertThat(resumed.getIterationCount()).isEqualTo(7);
            fit(resumed, 7, 16);
            try (AveragedWeights averaged = lngd.averagedWeights()) {
                assertThat(resumed.params().toFloatVector()).isEqualTo(average);
            }
        }
        assertThat(resumed.params().toFloatVector()).isEqualTo(straight.params().toFloatVector());
        assertThat(resumed.getUpdater().getStateViewArray())
                .isEqualTo(straight.getUpdater().getStateViewArray());
    }

    @Test
    void closeGivesTheGraphBack() throws IOException {
        ComputationGraph graph = residual();
        ComputationGraphUpdater updater = graph.getUpdater();
        String json = graph.getConfiguration().toJson();
        Path file = folder.resolve("during.zip");
        try (LngdTraining lngd = Lngd.attach(graph, OPTIONS)) {
            assertThatThrownBy(() -> Lngd.attach(graph, OPTIONS))
                    .isInstanceOf(LngdStateException.class);
            fit(graph, 0, 3);
            assertThat(graph.clone().params()).isEqualTo(graph.params());
            ModelSerializer.writeModel(graph, file.toFile(), true);
        }
        assertThat(graph.getUpdater()).isSameAs(updater);
        graph.getConfiguration().setIterationCount(0);
        assertThat(graph.getConfiguration().toJson()).isEqualTo(json);
        assertThat(ModelSerializer.restoreComputationGraph(file.toFile(), true).numParams())
                .isEqualTo(graph.numParams());
        fit(graph, 3, 5);
    }

    @Test
    void layersBehindFrozenOnesAreLeftAlone() {
        ComputationGraph graph =
                graph(
                        builder()
                                .addInputs("in")
                                .addLayer(
                                        "early", Nets.dense(Nets.INPUTS, 8, Activation.TANH), "in")
                                .addLayer(
                                        "ice",
                                        new FrozenLayer(Nets.dense(8, 8, Activation.TANH)),
                                        "early")
                                .addLayer("side", Nets.dense(8, 8, Activation.TANH), "early")
                                .addLayer("lost", Nets.dense(Nets.INPUTS, 8, Activation.TANH), "in")
                                .addLayer(
                                        "block",
                                        new FrozenLayer(Nets.dense(8, 8, Activation.TANH)),
                                        "lost")
                                .addVertex("all", new MergeVertex(), "ice", "side", "block")
                                .addLayer("out", Nets.softmax(24), "all")
                                .setOutputs("out"));
        try (LngdTraining lngd = Lngd.attach(graph, OPTIONS)) {
            assertThat(lngd.report().with(Treatment.LNGD))
                    .extracting(LayerRegistration::name)
                    .containsExactlyInAnyOrder("early", "side", "out");
            assertThat(lngd.report().with(Treatment.FROZEN))
                    .extracting(LayerRegistration::name)
                    .containsExactlyInAnyOrder("ice", "lost", "block");
            // Nothing is fitted: plain DL4J cannot train a graph with a layer like "lost" ("all
            // epsilons not set").
        }
    }

    @Test
    void aFallbackUpdaterCanBeChosen() {
        ComputationGraph graph = residual();
        INDArray before = graph.getLayer("norm").getParam("gamma").dup();
        AttachOptions still = AttachOptions.defaults().fallback(new Sgd(0.0));
        try (LngdTraining lngd = Lngd.attach(graph, OPTIONS, still)) {
            fit(graph, 0, 4);
        }
        assertThat(graph.getLayer("norm").getParam("gamma")).isEqualTo(before);
        // Running statistics are not gradients: they keep their NoOp, and move.
        assertThat(graph.getLayer("norm").conf().getLayer().getUpdaterByParam("mean"))
                .isInstanceOf(NoOp.class);
        assertThat(graph.getLayer("norm").getParam("mean").amaxNumber().doubleValue())
                .isGreaterThan(0);
    }
}
