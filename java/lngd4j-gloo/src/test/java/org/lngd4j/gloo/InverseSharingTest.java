// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.Activation;
import org.lngd4j.Device;
import org.lngd4j.Fisher;
import org.lngd4j.InversePlacement;
import org.lngd4j.LayerSpec;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.MemoryKind;
import org.lngd4j.NativeTensor;
import org.lngd4j.Preset;
import org.lngd4j.Signal;
import org.lngd4j.StepPlan;
import org.lngd4j.UpdateMode;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * Ranks that compute the inverses of their own layers have the states of those that compute all.
 */
class InverseSharingTest {
    private static final List<LayerSpec> LAYERS =
            List.of(
                    LayerSpec.dense("first", 6, 5).bias(false).activation(Activation.TANH),
                    LayerSpec.dense("second", 5, 4).bias(false).activation(Activation.TANH),
                    LayerSpec.dense("third", 4, 7).bias(false).activation(Activation.TANH));

    @TempDir Path folder;

    private Rendezvous file(String name) {
        return Rendezvous.file(folder.resolve(name));
    }

    private static LngdOptions options(Preset preset) {
        return LngdOptions.preset(preset, 20)
                .device(Device.CPU)
                .threads(1)
                .statisticsInterval(1)
                .inverseInterval(2)
                .build();
    }

    private static NativeTensor numbers(int seed, long rows, long columns) {
        FloatPointer memory = new FloatPointer(rows * columns);
        for (int i = 0; i < rows * columns; i++) {
            memory.put(i, (float) Math.sin(1.7 * i + seed));
        }
        return NativeTensor.of(MemoryKind.HOST, 0, memory, rows, columns);
    }

    /** The same on all ranks, so that no sums have to be added. */
    private static byte[] train(
            Ranks ranks, Preset preset, InversePlacement placement, int[] exchanges) {
        try (LngdOptimizer optimizer = LngdOptimizer.create(options(preset), LAYERS)) {
            InverseSharing sharing = InverseSharing.start(optimizer, ranks, placement);
            assertThat(sharing.decision().asked()).isEqualTo(placement);
            if (placement != InversePlacement.AUTO) {
                assertThat(sharing.decision().placement()).isEqualTo(placement);
            }
            List<LayerTensors> tensors = new ArrayList<>();
            for (int i = 0; i < LAYERS.size(); i++) {
                LayerSpec layer = LAYERS.get(i);
                tensors.add(
                        new LayerTensors(
                                i,
                                numbers(i, layer.outputs(), layer.inputs()),
                                null,
                                numbers(i + 10, layer.outputs(), layer.inputs()),
                                null));
            }
            boolean provided = optimizer.options().fisher() == Fisher.PROVIDED;
            try (StepPlan plan = optimizer.plan(tensors, UpdateMode.WEIGHTS)) {
                for (int step = 0; step < 5; step++) {
                    for (int i = 0; i < LAYERS.size(); i++) {
                        LayerSpec layer = LAYERS.get(i);
                        optimizer.observe(
                                i,
                                numbers(20 + step, 9, layer.inputs()),
                                numbers(30 + step, 9, layer.outputs()),
                                provided ? Signal.GRADIENTS : Signal.PRE_ACTIVATIONS);
                    }
                    exchanges[ranks.rank()] += sharing.exchange(plan);
                    plan.step(1);
                }
            }
            return optimizer.saveState();
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Preset.class,
            names = {"RECIPE", "KFAC", "EKFAC", "BLOCK_KRONECKER"})
    void theBitsAreThoseOfReplicatedInverses(Preset preset) throws Exception {
        List<byte[]> all = new ArrayList<>();
        for (InversePlacement placement : InversePlacement.values()) {
            for (int size : new int[] {2, 4}) {
                int[] exchanges = new int[size];
                List<byte[]> states =
                        RankThreads.run(
                                file(placement + "-" + size),
                                size,
                                ranks -> train(ranks, preset, placement, exchanges));
                all.addAll(states);
                for (int count : exchanges) {
                    // Steps 0, 2 and 4; four ranks share three layers.
                    if (placement == InversePlacement.OWNED) {
                        assertThat(count).isEqualTo(3 * Math.min(size, 3));
                    } else if (placement == InversePlacement.REPLICATED) {
                        assertThat(count).isZero();
                    }
                }
            }
        }
        for (byte[] state : all) {
            assertThat(state).isEqualTo(all.get(0));
        }
    }

    /** What is decided follows from measured figures; they are the same on all ranks. */
    @Test
    void autoMeasures() throws Exception {
        List<PlacementDecision> decisions =
                RankThreads.run(
                        file("store"),
                        2,
                        ranks -> {
                            try (LngdOptimizer optimizer =
                                    LngdOptimizer.create(options(Preset.RECIPE), LAYERS)) {
                                return InverseSharing.start(optimizer, ranks, InversePlacement.AUTO)
                                        .decision();
                            }
                        });
        assertThat(decisions.get(0)).isEqualTo(decisions.get(1));
        PlacementDecision decision = decisions.get(0);
        assertThat(decision.operations()).isEqualTo(6 * 6 * 6 + 5 + 5 * 5 * 5 + 4 + 4 * 4 * 4 + 7);
        // Anything between a slow machine that is busy and a fast one.
        assertThat(decision.speeds().operations()).isBetween(1e3, 1e13);
        assertThat(decision.speeds().bytes()).isBetween(1e4, 1e12);
        assertThat(decision.speeds().latency()).isBetween(1e-8, 10.0);
        assertThat(decision.placement())
                .isEqualTo(
                        decision.ownedSeconds() < decision.replicatedSeconds()
                                ? InversePlacement.OWNED
                                : InversePlacement.REPLICATED);
    }

    @Test
    void whatOneRankRefusesAllRefuse() throws Exception {
        List<String> messages =
                RankThreads.run(
                        file("store"),
                        2,
                        ranks -> {
                            try (LngdOptimizer optimizer =
                                    LngdOptimizer.create(options(Preset.RECIPE), LAYERS)) {
                                assertThatThrownBy(
                                                () -> InverseSharing.start(optimizer, ranks, null))
                                        .isInstanceOf(LngdArgumentException.class)
                                        .hasMessageContaining("placement is null");
                                InversePlacement own = InversePlacement.values()[ranks.rank()];
                                assertThatThrownBy(
                                                () -> InverseSharing.start(optimizer, ranks, own))
                                        .isInstanceOf(LngdArgumentException.class)
                                        .hasMessageContaining(
                                                "rank 1 has the placement of inverses OWNED, rank 0"
                                                        + " REPLICATED");
                                if (ranks.rank() == 1) { // it knows where inverses lie
                                    List<LayerTensors> tensors =
                                            List.of(
                                                    new LayerTensors(
                                                            0,
                                                            numbers(0, 5, 6),
                                                            null,
                                                            numbers(1, 5, 6),
                                                            null));
                                    optimizer.plan(tensors, UpdateMode.WEIGHTS);
                                }
                                try {
                                    InverseSharing.start(optimizer, ranks, InversePlacement.OWNED);
                                    return "";
                                } catch (RuntimeException e) {
                                    return e.getClass().getSimpleName() + ": " + e.getMessage();
                                }
                            }
                        });
        assertThat(messages.get(1)).startsWith("LngdStateException").contains("there are plans");
        assertThat(messages.get(0))
                .startsWith("LngdArgumentException: rank 1 says: ")
                .contains("there are plans");
    }
}
