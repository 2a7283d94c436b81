// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.api.OptimizationAlgorithm;
import org.deeplearning4j.nn.api.Updater;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.optimize.api.BaseTrainingListener;
import org.deeplearning4j.util.NetworkUtils;
import org.junit.jupiter.api.Test;
import org.lngd4j.LngdOptions;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.Sgd;

/** Attach and close: what they refuse, and that nothing of them stays behind. */
@SuppressWarnings("try") // attachments that are only opened and closed
class LifecycleTest {
    private static final LngdOptions OPTIONS = LngdOptions.recipe(100).build();

    @Test
    void closeGivesBackTheNetworkAsItWas() {
        MultiLayerNetwork net = Nets.mlp();
        net.fit(Nets.data(32, 1, 1));
        List<NeuralNetConfiguration> confs =
                java.util.Arrays.stream(net.getLayers()).map(Model::conf).toList();
        Updater updater = net.getUpdater();
        INDArray state = updater.getStateViewArray().dup();
        String json = withoutCounters(net);
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            assertThat(withoutCounters(net)).isEqualTo(json);
            net.fit(Nets.data(32, 1, 1));
            assertThat(lngd.steps()).isEqualTo(1);
            assertThat(withoutCounters(net)).isEqualTo(json);
        }
        assertThat(withoutCounters(net)).isEqualTo(json);
        assertThat(net.getUpdater()).isSameAs(updater);
        assertThat(updater.getStateViewArray()).isEqualTo(state);
        for (int i = 0; i < confs.size(); i++) {
            assertThat(net.getLayer(i).conf()).isSameAs(confs.get(i));
        }
        net.fit(Nets.data(32, 1, 1));
        assertThat(net.getUpdater().getStateViewArray()).isNotEqualTo(state);
    }

    /** The counters of updates are meant to change. */
    private static String withoutCounters(MultiLayerNetwork net) {
        return net.getLayerWiseConfigurations()
                .toJson()
                .replaceAll("\"(iteration|epoch)Count\" : \\d+", "");
    }

    @Test
    void stepsMoveTheWeightsByLngd() {
        MultiLayerNetwork net = Nets.mlp();
        INDArray before = net.params().dup();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            net.fit(Nets.data(32, 1, 1));
            assertThat(lngd.optimizer().health(0).statisticsUpdates()).isEqualTo(1);
            assertThat(lngd.optimizer().health(2).steps()).isEqualTo(1);
            assertThat(lngd.optimizer().health(2).skippedSteps()).isZero();
            assertThat(net.params()).isNotEqualTo(before);
            // The trust ratio says how long the step is, to rounding: tau ||W||, at the first step
            // without momentum.
            double tau = 0.17 / Math.sqrt(100);
            for (int i = 0; i < 3; i++) {
                assertThat(moved(net, before, i))
                        .isCloseTo(tau, org.assertj.core.api.Assertions.withinPercentage(0.1));
            }
        }
    }

    /** Length of the move of a layer, relative to its weights. */
    private static double moved(MultiLayerNetwork net, INDArray before, int layer) {
        MultiLayerNetwork old = net.clone();
        old.setParams(before);
        INDArray w = old.getLayer(layer).params();
        return net.getLayer(layer).params().sub(w).norm2Number().doubleValue()
                / w.norm2Number().doubleValue();
    }

    @Test
    void attachTwiceIsRefused() {
        MultiLayerNetwork net = Nets.mlp();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            assertThatThrownBy(() -> Lngd.attach(net, OPTIONS))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("attached to this network already");
            net.clear();
            assertThatThrownBy(() -> Lngd.attach(net, OPTIONS))
                    .isInstanceOf(LngdStateException.class);
            assertThat(lngd.steps()).isZero();
        }
        Lngd.attach(net, OPTIONS).close();
    }

    @Test
    void anExceptionInFitLeavesTheNetworkUsable() {
        MultiLayerNetwork net = Nets.mlp();
        String json = withoutCounters(net);
        Updater updater = net.getUpdater();
        net.addListeners(
                new BaseTrainingListener() {
                    @Override
                    public void iterationDone(Model model, int iteration, int epoch) {
                        if (iteration == 3) {
                            throw new IllegalStateException("on purpose");
                        }
                    }
                });
        assertThatThrownBy(
                        () -> {
                            try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
                                for (int i = 0; i < 10; i++) {
                                    net.fit(Nets.data(32, i, 1));
                                }
                            }
                        })
                .hasMessage("on purpose");
        assertThat(net.getUpdater()).isSameAs(updater);
        assertThat(withoutCounters(net)).isEqualTo(json);
        net.setListeners();
        net.fit(Nets.data(32, 1, 1));
    }

    @Test
    void whatCannotBeTrainedIsRefusedWithAReason() {
        MultiLayerNetwork doubles = Nets.mlp().convertDataType(DataType.DOUBLE);
        refused(doubles, OPTIONS, "DOUBLE", "convertDataType");
        NeuralNetConfiguration.Builder summed =
                new NeuralNetConfiguration.Builder().miniBatch(false);
        refused(net(summed), OPTIONS, "miniBatch(false)");
        refused(
                net(
                        new NeuralNetConfiguration.Builder()
                                .optimizationAlgo(OptimizationAlgorithm.LBFGS)),
                OPTIONS,
                "LBFGS");
        assertThatThrownBy(() -> Lngd.attach((MultiLayerNetwork) null, OPTIONS))
                .hasMessageContaining("net is null");
        assertThatThrownBy(() -> Lngd.attach((ComputationGraph) null, OPTIONS))
                .hasMessageContaining("graph is null");
        assertThatThrownBy(() -> Lngd.attach(Nets.mlp(), null))
                .hasMessageContaining("options is null");
    }

    private static MultiLayerNetwork net(NeuralNetConfiguration.Builder builder) {
        return new MultiLayerNetwork(builder.list().layer(Nets.softmax(Nets.INPUTS)).build());
    }

    private static void refused(MultiLayerNetwork net, LngdOptions options, String... words) {
        assertThatThrownBy(() -> Lngd.attach(net, options))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContainingAll(words);
    }

    @Test
    void useAfterCloseIsRefused() throws Exception {
        LngdTraining lngd = Lngd.attach(Nets.mlp(), OPTIONS);
        lngd.close();
        lngd.close();
        assertThatThrownBy(lngd::averagedWeights).isInstanceOf(LngdHandleException.class);
        assertThatThrownBy(() -> lngd.optimizer().memory()).isInstanceOf(LngdException.class);
    }

    @Test
    void aCloneKnowsNothingOfLngd() {
        MultiLayerNetwork net = Nets.mlp();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            net.fit(Nets.data(32, 1, 1));
            MultiLayerNetwork clone = net.clone();
            assertThat(clone.params()).isEqualTo(net.params());
            INDArray params = net.params().dup();
            clone.fit(Nets.data(32, 2, 1));
            assertThat(lngd.steps()).isEqualTo(1);
            assertThat(net.params()).isEqualTo(params);
            Lngd.attach(clone, OPTIONS).close();
        }
    }

    @Test
    void twoNetworksAtOnceDoNotDisturbEachOther() {
        INDArray alone = trained(Nets.mlp(), null);
        INDArray beside = trained(Nets.mlp(), Nets.mlp());
        assertThat(beside).isEqualTo(alone);
    }

    private static INDArray trained(MultiLayerNetwork net, MultiLayerNetwork other) {
        try (LngdTraining one = Lngd.attach(net, OPTIONS);
                LngdTraining two = other == null ? null : Lngd.attach(other, OPTIONS)) {
            for (int i = 0; i < 12; i++) {
                net.fit(Nets.data(32, i, 1));
                if (other != null) {
                    other.fit(Nets.data(24, 100 + i, 1));
                }
            }
            assertThat(one.steps()).isEqualTo(12);
        }
        return net.params();
    }

    @Test
    void clearAndSetLearningRateDoNotShakeItOff() {
        MultiLayerNetwork net =
                Nets.of(
                        new Adam(1e-3),
                        Nets.dense(Nets.INPUTS, 16, Activation.TANH),
                        new org.deeplearning4j.nn.conf.layers.BatchNormalization.Builder()
                                .nOut(16)
                                .build(),
                        Nets.softmax(16));
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            net.fit(Nets.data(32, 1, 1));
            net.clear();
            net.fit(Nets.data(32, 2, 1));
            assertThat(lngd.steps()).isEqualTo(2);
            NetworkUtils.setLearningRate(net, 0);
            INDArray gamma = net.getParam("1_gamma").dup();
            net.fit(Nets.data(32, 3, 1));
            assertThat(lngd.steps()).isEqualTo(3);
            assertThat(net.getParam("1_gamma")).isEqualTo(gamma);
        }
        assertThat(
                        net.getLayerWiseConfigurations()
                                .getConf(0)
                                .getLayer()
                                .getUpdaterByParam("W")
                                .getLearningRate(0, 0))
                .isZero();
    }

    @Test
    void aGradientWithoutAStepIsHarmless() {
        MultiLayerNetwork net = Nets.of(new Sgd(0.1), Nets.softmax(Nets.INPUTS));
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipeEmpirical(100).build())) {
            net.setInput(Nets.data(16, 1, 1).getFeatures());
            net.setLabels(Nets.data(16, 1, 1).getLabels());
            net.computeGradientAndScore();
            net.fit(Nets.data(32, 2, 1));
            assertThat(lngd.steps()).isEqualTo(1);
        }
    }
}
