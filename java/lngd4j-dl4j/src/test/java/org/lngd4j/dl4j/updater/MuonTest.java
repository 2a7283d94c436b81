// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Map;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.dl4j.updater.TwinCheck.Expected;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.schedule.ExponentialSchedule;
import org.nd4j.linalg.schedule.ISchedule;
import org.nd4j.linalg.schedule.ScheduleType;

class MuonTest {
    // Five steps multiply a small singular value, and its rounding of 6e-8, by up to 3.4^5 = 480:
    // 3e-5
    // of an update of about 0.02.
    private static final double ALLOWED = 2e-6;
    private static final double ALLOWED_ADAMW = 3e-7;

    private final ISchedule rate = new ExponentialSchedule(ScheduleType.ITERATION, 0.02, 0.9);
    private final ISchedule restRate = new ExponentialSchedule(ScheduleType.ITERATION, 0.01, 0.9);

    @ParameterizedTest
    @EnumSource(MuonScale.class)
    void followsThePaperOnWideAndTallMatrices(MuonScale scale) {
        MultiLayerNetwork net = UpdaterNets.dense();
        UpdaterReport report =
                Muon.builder().learningRate(rate).scale(scale).rest(rest(0)).build().install(net);

        assertThat(report.layers("Muon")).containsExactly("layer0", "layer1", "layer2");
        assertThat(report.layers("AdamW")).containsExactly("layer3");
        Map<String, Double> scales =
                switch (scale) {
                    case SHAPE -> Map.of("0_W", 1.0, "1_W", 1.0, "2_W", Math.sqrt(6 / 5.0));
                    case MATCH_ADAMW ->
                            Map.of(
                                    "0_W",
                                    1.2,
                                    "1_W",
                                    0.2 * Math.sqrt(7),
                                    "2_W",
                                    0.2 * Math.sqrt(6));
                    case UNIT_RMS ->
                            Map.of(
                                    "0_W",
                                    Math.sqrt(7 / 36.0),
                                    "1_W",
                                    Math.sqrt(5 / 7.0),
                                    "2_W",
                                    Math.sqrt(6 / 5.0));
                    case NONE -> Map.of("0_W", 1.0, "1_W", 1.0, "2_W", 1.0);
                };
        check(net, scales, 0, 0, 0.95, true, 5);
    }

    @Test
    void momentumNesterovStepsAndDecayReachTheFormula() {
        MultiLayerNetwork net = UpdaterNets.dense();
        Muon.builder()
                .learningRate(rate)
                .momentum(0.7)
                .nesterov(false)
                .newtonSchulzSteps(4) // an even number ends in the other array
                .weightDecay(0.2)
                .rest(rest(0.4))
                .build()
                .install(net);
        check(
                net,
                Map.of("0_W", 1.0, "1_W", 1.0, "2_W", Math.sqrt(6 / 5.0)),
                0.2,
                0.4,
                0.7,
                false,
                4);
    }

    @Test
    void convolutionsAreOutputsByTheRestAndTheFirstIsAdamWs() {
        MultiLayerNetwork net = UpdaterNets.convolutional();
        UpdaterReport report = Muon.builder().learningRate(rate).rest(rest(0)).build().install(net);

        assertThat(report.layers("Muon")).containsExactly("layer2", "layer3");
        assertThat(report.toString())
                .contains(
                        "the first convolution", "an output layer", "5 x 16", "BatchNormalization");
        // The dense layer: 6 x (5 maps of 3 x 3).
        check(net, Map.of("2_W", 1.0, "3_W", 1.0), 0, 0, 0.95, true, 5);
    }

    @Test
    void neighbouringMatricesOfAGraphAreMatricesForThemselves() {
        ComputationGraph graph = UpdaterNets.residual();
        UpdaterReport report =
                Muon.builder()
                        .learningRate(rate)
                        .weightDecay(0.1)
                        .rest(rest(0))
                        .build()
                        .install(graph);

        assertThat(report.layers("Muon")).containsExactly("a", "b");
        check(graph, Map.of("a_W", 1.0, "b_W", 1.0), 0.1, 0, 0.95, true, 5);
    }

    @Test
    void namedLayersAreAdamWs() {
        MultiLayerNetwork net = UpdaterNets.dense();
        UpdaterReport report = Muon.builder().adamW("layer0", "layer2").build().install(net);
        assertThat(report.layers("Muon")).containsExactly("layer1");
    }

    @Test
    void matchingAdamWHasOneRateAndDecayForAll() {
        MultiLayerNetwork net = UpdaterNets.dense();
        Muon.matchingAdamW(restRate, 0.1).build().install(net);
        TwinCheck.run(
                net,
                6,
                name ->
                        switch (name) {
                            case "0_W" -> matching(1.2);
                            case "1_W" -> matching(0.2 * Math.sqrt(7));
                            case "2_W" -> matching(0.2 * Math.sqrt(6));
                            default ->
                                    new Expected(
                                            Rule.adam(0.9, 0.95, 1e-8),
                                            restRate,
                                            name.endsWith("_W") ? 0.1 : 0,
                                            ALLOWED_ADAMW);
                        });
    }

    private Expected matching(double scale) {
        return new Expected(Rule.muon(0.95, true, 5, scale), restRate, 0.1, ALLOWED);
    }

    @Test
    void singularValuesComeNearOneAndZerosStayZeros() {
        MatrixShape shape = new MatrixShape(6, 9);
        INDArray x = Nd4j.rand(DataType.FLOAT, 1, shape.size()).subi(0.5);
        new NewtonSchulz(shape).orthogonalise(x, 5);
        INDArray gram = Blas.matrix(6, 6);
        INDArray w = shape.transposed(x);
        Blas.multiply(w, true, w, false, gram);
        // Jordan: to between about 0.68 and 1.13, so squares to between 0.46 and 1.28.
        for (int i = 0; i < 6; i++) {
            assertThat(gram.getDouble(i, i)).isCloseTo(0.87, within(0.42));
        }
        INDArray zeros = Nd4j.zeros(DataType.FLOAT, 1, shape.size());
        new NewtonSchulz(shape).orthogonalise(zeros, 5);
        assertThat(zeros.toFloatVector()).containsOnly(0f);
    }

    private AdamW rest(double decay) {
        return AdamW.builder().learningRate(restRate).weightDecay(decay).build();
    }

    private void check(
            Model net,
            Map<String, Double> scales,
            double decay,
            double restDecay,
            double momentum,
            boolean nesterov,
            int steps) {
        TwinCheck.run(
                net,
                8,
                name -> {
                    if (UpdaterNets.isStatistic(name)) {
                        return null;
                    }
                    if (scales.containsKey(name)) {
                        Rule rule = Rule.muon(momentum, nesterov, steps, scales.get(name));
                        return new Expected(rule, rate, decay, ALLOWED);
                    }
                    return new Expected(
                            Rule.adam(0.9, 0.999, 1e-8),
                            restRate,
                            name.endsWith("_W") ? restDecay : 0,
                            ALLOWED_ADAMW);
                });
    }
}
