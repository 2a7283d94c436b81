// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.LSTM;
import org.deeplearning4j.nn.conf.layers.LocallyConnected2D;
import org.deeplearning4j.nn.conf.layers.RnnOutputLayer;
import org.deeplearning4j.nn.conf.layers.misc.FrozenLayer;
import org.deeplearning4j.nn.conf.layers.recurrent.Bidirectional;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.util.ModelSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.LngdOptions;
import org.lngd4j.dl4j.Lngd;
import org.lngd4j.dl4j.LngdTraining;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Saving, cloning, and what is refused. */
class InstallTest {
    @TempDir private Path folder;

    private static NetworkUpdater named(String name) {
        return switch (name) {
            case "muon" -> Muon.builder().weightDecay(0.1).build();
            case "soap" -> Soap.builder().preconditionFrequency(3).build();
            default -> AdamW.builder().build();
        };
    }

    @ParameterizedTest
    @ValueSource(strings = {"adamw", "muon", "soap"})
    void aSavedNetworkGoesOnBitByBit(String name) throws IOException {
        MultiLayerNetwork net = UpdaterNets.convolutional();
        named(name).install(net);
        train(net, 0, 5);
        Path file = folder.resolve("net.zip");
        ModelSerializer.writeModel(net, file.toFile(), true);
        MultiLayerNetwork clone = net.clone();
        MultiLayerNetwork again = ModelSerializer.restoreMultiLayerNetwork(file.toFile(), true);
        train(net, 5, 6);
        train(again, 5, 6);
        train(clone, 5, 6);
        assertThat(again.params()).isEqualTo(net.params());
        assertThat(again.getUpdater().getStateViewArray())
                .isEqualTo(net.getUpdater().getStateViewArray());
        assertThat(clone.params()).isEqualTo(net.params());
    }

    @ParameterizedTest
    @ValueSource(strings = {"adamw", "muon", "soap"})
    void aSavedGraphGoesOnBitByBit(String name) throws IOException {
        ComputationGraph graph = UpdaterNets.residual();
        named(name).install(graph);
        train(graph, 0, 5);
        Path file = folder.resolve("graph.zip");
        ModelSerializer.writeModel(graph, file.toFile(), true);
        ComputationGraph again = ModelSerializer.restoreComputationGraph(file.toFile(), true);
        train(graph, 5, 6);
        train(again, 5, 6);
        assertThat(again.params()).isEqualTo(graph.params());
        // Without its state it would not: the check above must be able to fail.
        ComputationGraph fresh = ModelSerializer.restoreComputationGraph(file.toFile(), false);
        train(fresh, 5, 6);
        assertThat(fresh.params()).isNotEqualTo(graph.params());
    }

    private static void train(Model net, int from, int count) {
        for (int i = from; i < from + count; i++) {
            UpdaterNets.fit(net, UpdaterNets.data(i));
        }
    }

    @Test
    void installingAnewTakesTheDecayOfTheNewOne() {
        MultiLayerNetwork net = UpdaterNets.dense();
        BaseLayer layer = (BaseLayer) net.getLayer(0).conf().getLayer();
        AdamW.builder().weightDecay(0.1).build().install(net);
        Muon.builder().weightDecay(0.2).build().install(net);
        assertThat(layer.getRegularization()).containsExactly(new DecoupledDecay(0.2));
    }

    @Test
    void anotherDataTypeIsRefusedAndNothingChanged() {
        MultiLayerNetwork net = UpdaterNets.dense(DataType.DOUBLE);
        refused(() -> AdamW.builder().build().install(net), "data type DOUBLE", "FLOAT");
        assertThat(((BaseLayer) net.getLayer(0).conf().getLayer()).getIUpdater())
                .isInstanceOf(Sgd.class);
    }

    @Test
    void aLayerWhoseUpdaterCannotBeSetIsRefusedByName() {
        MultiLayerNetwork net =
                new MultiLayerNetwork(
                        UpdaterNets.configuration(DataType.FLOAT)
                                .list()
                                .layer(new DenseLayer.Builder().nOut(36).build())
                                .layer(
                                        new LocallyConnected2D.Builder()
                                                .name("local")
                                                .kernelSize(3, 3)
                                                .nOut(2)
                                                .build())
                                .layer(UpdaterNets.output())
                                .inputPreProcessor(
                                        1,
                                        new org.deeplearning4j.nn.conf.preprocessor
                                                .FeedForwardToCnnPreProcessor(6, 6, 1))
                                .setInputType(InputType.feedForward(36))
                                .build());
        net.init();
        refused(() -> Soap.builder().build().install(net), "local", "LocallyConnected2D");
        assertThat(((BaseLayer) net.getLayer(0).conf().getLayer()).getIUpdater())
                .isInstanceOf(Sgd.class);
    }

    @Test
    void recurrentLayersAreAdamWsAndSayWhyAndFrozenOnesAreLeftAlone() {
        MultiLayerNetwork net =
                new MultiLayerNetwork(
                        UpdaterNets.configuration(DataType.FLOAT)
                                .list()
                                .layer(new FrozenLayer(new DenseLayer.Builder().nOut(4).build()))
                                .layer(new Bidirectional(new LSTM.Builder().nOut(3).build()))
                                .layer(
                                        new RnnOutputLayer.Builder(LossFunction.MCXENT)
                                                .nOut(3)
                                                .activation(
                                                        org.nd4j.linalg.activations.Activation
                                                                .SOFTMAX)
                                                .build())
                                .setInputType(InputType.recurrent(5, 4))
                                .build());
        net.init();
        UpdaterReport report = Soap.builder().build().install(net);
        assertThat(report.layers("(frozen)")).containsExactly("layer0");
        assertThat(report.layers("AdamW")).containsExactly("layer1");
        assertThat(report.layers("Soap")).containsExactly("layer2");
        assertThat(report.toString()).contains("no weight matrix known in Bidirectional");
    }

    @Test
    void withLngdAttachedItIsRefusedAndBesideLngdItTrainsTheRest() {
        MultiLayerNetwork net = UpdaterNets.convolutional();
        AdamW.builder().build().install(net);
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipe(10).build())) {
            assertThatThrownBy(() -> AdamW.builder().build().install(net))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("LNGD");
            train(net, 0, 3);
            assertThat(lngd.steps()).isEqualTo(3);
        }
        assertThat(net.getParam("1_gamma").toFloatVector()).doesNotContain(1f);
    }

    @Test
    void badSettingsAreRefusedByName() {
        refused(() -> AdamW.builder().learningRate(0), "learningRate", "above 0");
        refused(() -> AdamW.builder().learningRate(Double.NaN), "learningRate", "NaN");
        refused(
                () -> AdamW.builder().learningRate((org.nd4j.linalg.schedule.ISchedule) null),
                "learningRate",
                "null");
        refused(() -> AdamW.builder().beta1(1), "beta1", "below 1");
        refused(() -> AdamW.builder().beta2(1 - 1e-12), "beta2", "below 1");
        refused(() -> AdamW.builder().epsilon(-1), "epsilon", "0 or more");
        refused(() -> Muon.builder().momentum(-0.1), "momentum", "-0.1");
        refused(() -> Muon.builder().newtonSchulzSteps(0), "newtonSchulzSteps", "1 or more");
        refused(() -> Muon.builder().scale(null), "scale", "null");
        refused(() -> Muon.builder().weightDecay(-1), "weightDecay", "-1");
        refused(
                () -> Soap.builder().preconditionFrequency(0),
                "preconditionFrequency",
                "1 or more");
        refused(() -> Soap.builder().maxPreconditionedSize(0), "maxPreconditionedSize", "0");
        MultiLayerNetwork net = UpdaterNets.dense();
        refused(
                () -> Muon.builder().adamW("layer9").build().install(net),
                "layer9",
                "layer0, layer1, layer2, layer3");
        refused(() -> AdamW.builder().build().install((MultiLayerNetwork) null), "net", "null");
    }

    @Test
    void setLearningRateSaysThatTheRateIsFixed() {
        MultiLayerNetwork net = UpdaterNets.dense();
        Muon.builder().build().install(net);
        assertThatThrownBy(() -> net.setLearningRate(0.1))
                .isInstanceOf(UnsupportedOperationException.class)
                .hasMessageContaining("schedule");
        assertThatCode(() -> train(net, 0, 1)).doesNotThrowAnyException();
    }

    private static void refused(ThrowingCallable call, String... words) {
        assertThatThrownBy(call)
                .isInstanceOf(LngdArgumentException.class)
                .satisfies(e -> assertThat(e.getMessage()).contains(List.of(words)));
    }
}
