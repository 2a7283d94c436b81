// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import org.lngd4j.nativelib.global.lngd;

/** Two optimizers that share their inverses have the bits of one that computes all. */
@Tag(TestDevice.TAG)
class InversesTest {
    private static final int SAMPLES = 10;
    private static final int[] OWNERS = {1, 0};

    /** An optimizer of two layers, with the same weights, gradients and samples as any other. */
    private static final class Rank implements AutoCloseable {
        final LngdOptimizer optimizer;
        final List<HostArray> weights = new ArrayList<>();
        final StepPlan plan;
        private final Data data = new Data(4);

        Rank(LngdOptions.Builder options, int[] owners, int rank) {
            optimizer =
                    LngdOptimizer.create(
                            options.device(TestDevice.get())
                                    .threads(1)
                                    .precision(Precision.TF32X3)
                                    .statisticsSamples(0)
                                    .statisticsInterval(1)
                                    .inverseInterval(2)
                                    .build(),
                            List.of(
                                    LayerSpec.dense("first", 5, 4).activation(Activation.TANH),
                                    LayerSpec.dense("second", 4, 3).activation(Activation.TANH)));
            if (owners != null) {
                optimizer.shareInverses(owners, rank);
            }
            List<LayerTensors> tensors = new ArrayList<>();
            for (int layer = 0; layer < 2; layer++) {
                int rows = 4 - layer;
                int columns = 5 - layer;
                weights.add(data.floats(rows, columns));
                tensors.add(
                        new LayerTensors(
                                layer,
                                weights.get(layer),
                                data.vector(rows),
                                data.floats(rows, columns),
                                data.vector(rows)));
            }
            plan = optimizer.plan(tensors, UpdateMode.WEIGHTS);
        }

        void observe() {
            boolean provided = optimizer.options().fisher() == Fisher.PROVIDED;
            for (int layer = 0; layer < 2; layer++) {
                optimizer.observe(
                        layer,
                        data.floats(SAMPLES, 5 - layer),
                        data.floats(SAMPLES, 4 - layer),
                        provided ? Signal.GRADIENTS : Signal.PRE_ACTIVATIONS);
            }
        }

        boolean needs() {
            return optimizer.needsInverses(0);
        }

        @Override
        public void close() {
            plan.close();
            optimizer.close();
        }
    }

    private static void broadcast(Rank... ranks) {
        for (int owner = 0; owner < ranks.length; owner++) {
            InverseRange range = ranks[owner].optimizer.inverseRange(owner);
            for (Rank rank : ranks) {
                if (rank != ranks[owner]) {
                    org.bytedeco.javacpp.Pointer to = rank.optimizer.inverses().floats(range);
                    org.bytedeco.javacpp.Pointer from =
                            ranks[owner].optimizer.inverses().floats(range);
                    rank.optimizer.call(o -> lngd.lngd_device_copy(o, to, from, 4 * range.count()));
                }
            }
        }
    }

    @Test
    void sharedInversesHaveTheSameBits() {
        for (Preset preset : List.of(Preset.RECIPE, Preset.KFAC, Preset.BLOCK_KRONECKER)) {
            try (Rank one = new Rank(options(preset), null, 0);
                    Rank first = new Rank(options(preset), OWNERS, 0);
                    Rank second = new Rank(options(preset), OWNERS, 1)) {
                for (int step = 0; step < 4; step++) {
                    for (Rank rank : List.of(one, first, second)) {
                        rank.observe();
                    }
                    for (Rank rank : List.of(first, second)) {
                        rank.plan.refresh();
                        assertThat(rank.needs()).isEqualTo(step % 2 == 0);
                        assertThat(rank.optimizer.needsInverses(1)).isEqualTo(step % 2 == 0);
                    }
                    if (step % 2 == 0) {
                        broadcast(first, second);
                        first.optimizer.inversesReceived();
                        second.optimizer.inversesReceived();
                    }
                    for (Rank rank : List.of(one, first, second)) {
                        rank.plan.step(1);
                        assertThat(rank.optimizer.saveState()).isEqualTo(one.optimizer.saveState());
                        for (int layer = 0; layer < 2; layer++) {
                            assertThat(rank.weights.get(layer).values())
                                    .containsExactly(one.weights.get(layer).values());
                        }
                    }
                }
                assertThat(second.optimizer.health(1).inverseUpdates()).isEqualTo(2);
            }
        }
    }

    private static LngdOptions.Builder options(Preset preset) {
        return LngdOptions.preset(preset, 100);
    }

    @Test
    void aStepWaits() {
        try (Rank first = new Rank(options(Preset.RECIPE), OWNERS, 0);
                Rank second = new Rank(options(Preset.RECIPE), OWNERS, 1)) {
            for (Rank rank : List.of(first, second)) {
                rank.observe();
            }
            assertThatThrownBy(() -> first.plan.step(1))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContainingAll("layer 0", "lngd_refresh");
            assertThatThrownBy(first.optimizer::inversesReceived)
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("no layer waits");
            first.plan.refresh();
            second.plan.refresh();
            assertThatThrownBy(() -> first.plan.step(1))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContainingAll("layer 0", "owner 1");
            assertThatThrownBy(first.optimizer::inversesReceived) // nothing was broadcast
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContainingAll("layer 0", "owner 1");
            assertThatThrownBy(first.optimizer::saveState).isInstanceOf(LngdStateException.class);
            broadcast(first, second);
            first.optimizer.inversesReceived();
            first.plan.step(1);
        }
    }

    @Test
    void theLayoutAndTheArguments() {
        try (Rank rank = new Rank(options(Preset.RECIPE), null, 0)) {
            LngdOptimizer optimizer = rank.optimizer;
            InverseBuffer inverses = optimizer.inverses();
            assertThat(inverses.kind())
                    .isEqualTo(TestDevice.get() == Device.CPU ? MemoryKind.HOST : MemoryKind.CUDA);
            // A head of 16 floats, lambdas, blocks with rows of 16, psi.
            assertThat(optimizer.inverseCost(0))
                    .isEqualTo(new InverseCost(6 * 6 * 6 + 4, 16 + 16 + 6 * 16 + 16));
            assertThat(optimizer.inverseCost(1))
                    .isEqualTo(new InverseCost(5 * 5 * 5 + 3, 16 + 16 + 5 * 16 + 16));
            assertThat(optimizer.inverseRange(0)).isEqualTo(new InverseRange(0, inverses.count()));
            assertThat(optimizer.inverseRange(7).count()).isZero();
            InverseRange outside = new InverseRange(1, inverses.count());
            assertThatThrownBy(() -> inverses.floats(outside))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("range");
            assertThat(inverses.floats(optimizer.inverseRange(0)).address())
                    .isEqualTo(inverses.address());
            assertThatThrownBy(() -> optimizer.inverseRange(-1))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("owner is -1");
            assertThatThrownBy(() -> optimizer.inverseCost(2))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("layer");
            assertThatThrownBy(() -> optimizer.shareInverses(OWNERS, 0))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("plans");
            rank.plan.close();
            assertThatThrownBy(() -> optimizer.shareInverses(null, 0))
                    .isInstanceOf(LngdArgumentException.class);
            assertThatThrownBy(() -> optimizer.shareInverses(new int[1], 0))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("count is 1");
            assertThatThrownBy(() -> optimizer.shareInverses(new int[] {0, -4}, 0))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("owners[1] is -4");
            assertThatThrownBy(() -> optimizer.shareInverses(OWNERS, -1))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("rank is -1");
            optimizer.shareInverses(OWNERS, 5);
            assertThat(optimizer.inverseRange(0).count())
                    .isEqualTo(optimizer.inverseCost(1).floats());
            assertThat(optimizer.inverseRange(1).offset())
                    .isEqualTo(optimizer.inverseCost(1).floats());
            optimizer.replicateInverses();
            assertThat(optimizer.inverseRange(1).count()).isZero();
        }
    }
}
