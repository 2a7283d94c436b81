// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.deeplearning4j.datasets.iterator.utilty.ListDataSetIterator;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.lngd4j.LngdOptions;
import org.lngd4j.adapter.HealthWatch;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;

/** What would go wrong without a word: it is refused, or told. */
@SuppressWarnings("try") // attachments that are only opened and closed
class SilentTroubleTest {
    /**
     * Momentum would move on where the schedule has reached 0, and fallback layers be trained
     * alone.
     */
    @Test
    void nothingMovesAfterTheEndOfTheSchedule() {
        MultiLayerNetwork net = Nets.mlp();
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipe(3).build())) {
            for (int i = 0; i < 3; i++) {
                net.fit(Nets.data(32, i, 1));
            }
            assertThat(lngd.stepsPastEnd()).isZero();
            INDArray end = net.params().dup();
            for (int i = 0; i < 2; i++) {
                net.fit(Nets.data(32, i, 1));
            }
            assertThat(net.params()).isEqualTo(end);
            assertThat(lngd.steps()).isEqualTo(3);
            assertThat(lngd.stepsPastEnd()).isEqualTo(2);
            assertThat(lngd.health().get("layer0").steps()).isEqualTo(3);
        }
    }

    /** As ParallelWrapper does: it trains the network itself in one of its workers. */
    @Test
    void anotherThreadIsRefused() {
        MultiLayerNetwork net = Nets.mlp();
        INDArray before = net.params().dup();
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipe(3).build())) {
            CompletableFuture<Void> other =
                    CompletableFuture.runAsync(() -> net.fit(Nets.data(32, 1, 1)));
            assertThatThrownBy(other::join)
                    .isInstanceOf(CompletionException.class)
                    .cause()
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("ParallelWrapper")
                    .hasMessageContaining(Thread.currentThread().getName());
            assertThat(net.params()).isEqualTo(before);
            net.fit(Nets.data(32, 1, 1));
            assertThat(lngd.steps()).isEqualTo(1);
        }
    }

    @Test
    void skippedStepsAreToldAtOnceThenRarely() {
        MultiLayerNetwork net = Nets.mlp();
        List<String> said = new ArrayList<>();
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipe(1000).build())) {
            HealthWatch watch = new HealthWatch(lngd::health, said::add);
            net.fit(Nets.data(32, 1, 1));
            watch.stepped(1);
            assertThat(said).isEmpty();
            DataSet bad = Nets.data(32, 1, 2);
            bad.getFeatures().putScalar(0, 0, Double.NaN);
            net.fit(bad);
            watch.stepped(51);
            assertThat(said).anyMatch(line -> line.contains("did not move it"));
            int lines = said.size();
            net.fit(bad);
            watch.stepped(101); // told at 51: not before 102
            assertThat(said).hasSize(lines);
            watch.stepped(151);
            assertThat(said.size()).isGreaterThan(lines);
            int all = said.size();
            assertThat(watch.tell()).isFalse();
            assertThat(said).hasSize(all);
        }
    }

    @Test
    void stepsOfAnIterator() {
        List<DataSet> samples = new ArrayList<>();
        for (int i = 0; i < 70; i++) {
            samples.add(Nets.data(1, 1, i));
        }
        ListDataSetIterator<DataSet> data = new ListDataSetIterator<>(samples, 32);
        assertThat(Lngd.steps(data, 4)).isEqualTo(12); // 32, 32 and 6
        assertThat(data.hasNext()).isTrue();
        assertThatThrownBy(() -> Lngd.steps(data, 0))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("epochs is 0");
    }
}
