// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import static org.assertj.core.api.Assertions.assertThat;

import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.lngd4j.dl4j.updater.TwinCheck.Expected;
import org.nd4j.linalg.schedule.ExponentialSchedule;
import org.nd4j.linalg.schedule.ISchedule;
import org.nd4j.linalg.schedule.ScheduleType;

class AdamWTest {
    // Weights of about 1 are rounded to 6e-8; the kernel's 1 - beta2 in single precision is off by
    // 1e-5 of itself, so a step of 0.01 by 1e-7.
    private static final double ALLOWED = 3e-7;

    private final ISchedule rate = new ExponentialSchedule(ScheduleType.ITERATION, 0.01, 0.9);

    @Test
    void followsThePaperInEveryKindOfNetwork() {
        AdamW adamW = AdamW.builder().learningRate(rate).weightDecay(0.3).build();
        MultiLayerNetwork dense = UpdaterNets.dense();
        adamW.install(dense);
        check(dense, 0.3, 0.9, 0.999, 1e-8);
        MultiLayerNetwork convolutional = UpdaterNets.convolutional();
        adamW.install(convolutional);
        check(convolutional, 0.3, 0.9, 0.999, 1e-8);
        ComputationGraph graph = UpdaterNets.residual();
        adamW.install(graph);
        check(graph, 0.3, 0.9, 0.999, 1e-8);
    }

    @Test
    void settingsReachTheFormula() {
        MultiLayerNetwork net = UpdaterNets.dense();
        AdamW.builder()
                .learningRate(rate)
                .beta1(0.5)
                .beta2(0.8)
                .epsilon(0.01)
                .weightDecay(0)
                .build()
                .install(net);
        check(net, 0, 0.5, 0.8, 0.01);
    }

    @Test
    void decayIsNoPartOfTheScore() {
        MultiLayerNetwork with = UpdaterNets.dense();
        MultiLayerNetwork without = UpdaterNets.dense();
        AdamW.builder().weightDecay(10).build().install(with);
        AdamW.builder().weightDecay(0).build().install(without);
        assertThat(with.score(UpdaterNets.data(1))).isEqualTo(without.score(UpdaterNets.data(1)));
        UpdaterNets.fit(with, UpdaterNets.data(1));
        UpdaterNets.fit(without, UpdaterNets.data(1));
        assertThat(with.score()).isEqualTo(without.score());
        assertThat(with.params().norm2Number().doubleValue())
                .isLessThan(without.params().norm2Number().doubleValue());
    }

    private void check(Model net, double decay, double beta1, double beta2, double epsilon) {
        TwinCheck.run(
                net,
                12,
                name ->
                        UpdaterNets.isStatistic(name)
                                ? null
                                : new Expected(
                                        Rule.adam(beta1, beta2, epsilon),
                                        rate,
                                        name.endsWith("_W") ? decay : 0,
                                        ALLOWED));
    }
}
