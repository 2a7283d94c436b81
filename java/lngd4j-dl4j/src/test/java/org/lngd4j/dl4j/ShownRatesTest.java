// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.assertj.core.data.Offset;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.optimize.api.BaseTrainingListener;
import org.junit.jupiter.api.Test;
import org.lngd4j.LngdOptions;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.Nesterovs;
import org.nd4j.linalg.learning.config.Sgd;

/** What a listener finds where DL4J's StatsListener looks for learning rates. */
@SuppressWarnings("try") // attachments that are only opened and closed
class ShownRatesTest {
    private static final LngdOptions OPTIONS = LngdOptions.recipe(4).build();

    // learning rate 1, tau 0.17 / sqrt(4), cosine(4): a few roundings of 2^-53.
    private static final Offset<Double> ROUNDING = Offset.offset(1e-15);

    /** Asks as StatsListener does, after each iteration. */
    private static final class Rates extends BaseTrainingListener {
        final List<Map<String, Double>> seen = new ArrayList<>();

        @Override
        public void iterationDone(Model model, int iteration, int epoch) {
            Map<String, Double> rates = new LinkedHashMap<>();
            Layer[] layers =
                    model instanceof ComputationGraph graph
                            ? graph.getLayers()
                            : ((MultiLayerNetwork) model).getLayers();
            for (Layer layer : layers) {
                org.deeplearning4j.nn.conf.layers.Layer conf = layer.conf().getLayer();
                for (String key : conf.initializer().paramKeys(conf)) {
                    double rate =
                            conf.getUpdaterByParam(key)
                                    .getLearningRate(
                                            layer.getIterationCount(), layer.getEpochCount());
                    rates.put(layer.getIndex() + "_" + key, rate);
                }
            }
            seen.add(rates);
        }
    }

    /** The same class name as DL4J's. */
    private static final class StatsListener extends BaseTrainingListener {}

    private static MultiLayerNetwork mixed() {
        return Nets.of(
                new Adam(0.01),
                Nets.dense(Nets.INPUTS, 16, Activation.TANH),
                new BatchNormalization.Builder().nOut(16).build(),
                Nets.softmax(16));
    }

    private static double expected(int step) {
        return 0.17 / 2 * 0.5 * (1 + Math.cos(Math.PI * step / 4));
    }

    @Test
    void ratesAreThoseOfTheStepThatWasDone() {
        MultiLayerNetwork net = mixed();
        Rates rates = new Rates();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            net.addListeners(lngd.withLearningRates(rates));
            for (int i = 0; i < 5; i++) {
                net.fit(Nets.data(32, i, 1));
            }
            assertThat(rates.seen).hasSize(5);
            for (int step = 0; step < 4; step++) {
                Map<String, Double> seen = rates.seen.get(step);
                for (String key : List.of("0_W", "0_b", "2_W", "2_b")) {
                    assertThat(seen.get(key)).as(key).isCloseTo(expected(step), ROUNDING);
                }
                assertThat(seen.get("1_gamma")).isEqualTo(0.01);
            }
            // Past the end, batch normalisation stands still as well.
            assertThat(rates.seen.get(4))
                    .containsEntry("0_W", 0.0)
                    .containsEntry("2_b", 0.0)
                    .containsEntry("1_gamma", 0.0);
        }
        net.fit(Nets.data(32, 5, 1)); // plain DL4J again
        assertThat(rates.seen.get(5)).containsEntry("0_W", 0.01).containsEntry("1_beta", 0.01);
    }

    @Test
    void aChosenFallbackIsShown() {
        ComputationGraph graph =
                new ComputationGraph(
                        new NeuralNetConfiguration.Builder()
                                .updater(new Adam(0.01))
                                .biasUpdater(new Sgd(0.5))
                                .graphBuilder()
                                .addInputs("in")
                                .addLayer(
                                        "hidden",
                                        Nets.dense(Nets.INPUTS, 16, Activation.TANH),
                                        "in")
                                .addLayer(
                                        "norm",
                                        new BatchNormalization.Builder().nOut(16).build(),
                                        "hidden")
                                .addLayer("out", Nets.softmax(16), "norm")
                                .setOutputs("out")
                                .build());
        graph.init();
        Rates rates = new Rates();
        AttachOptions attach = AttachOptions.defaults().fallback(new Nesterovs(0.03, 0.9));
        try (LngdTraining lngd = Lngd.attach(graph, OPTIONS, attach)) {
            graph.addListeners(lngd.withLearningRates(rates));
            graph.fit(Nets.data(32, 1, 1));
        }
        assertThat(rates.seen.get(0)).containsEntry("2_gamma", 0.03);
        assertThat(rates.seen.get(0).get("1_b")).isCloseTo(expected(0), ROUNDING);
    }

    /** Neither what the listener changes nor that it was shown something reaches the training. */
    @Test
    void trainingSeesNothingOfIt() {
        MultiLayerNetwork plain = mixed();
        MultiLayerNetwork shown = mixed();
        String json = shown.getLayerWiseConfigurations().toJson();
        List<String> during = new ArrayList<>();
        try (LngdTraining a = Lngd.attach(plain, OPTIONS);
                LngdTraining b = Lngd.attach(shown, OPTIONS)) {
            shown.addListeners(
                    b.withLearningRates(
                            new BaseTrainingListener() {
                                @Override
                                public void iterationDone(Model model, int iteration, int epoch) {
                                    during.add(
                                            ((MultiLayerNetwork) model)
                                                    .getLayerWiseConfigurations()
                                                    .toJson());
                                }
                            }));
            for (int i = 0; i < 3; i++) {
                plain.fit(Nets.data(32, i, 1));
                shown.fit(Nets.data(32, i, 1));
            }
            shown.clone();
        }
        assertThat(shown.params()).isEqualTo(plain.params());
        assertThat(shown.getUpdater().getStateViewArray())
                .isEqualTo(plain.getUpdater().getStateViewArray());
        assertThat(during.get(0)).isEqualTo(json);
    }

    @Test
    void aStatsListenerThatIsNotWrappedIsFound() {
        List<String> said = new ArrayList<>();
        ShownRates rates = new ShownRates(List.of(), null);
        rates.warn(List.of(new Rates()), said::add);
        assertThat(said).isEmpty();
        rates = new ShownRates(List.of(), null);
        rates.warn(List.of(new Rates(), new StatsListener()), said::add);
        rates.warn(List.of(new StatsListener()), said::add);
        assertThat(said).hasSize(1).first().asString().contains("withLearningRates");
    }
}
