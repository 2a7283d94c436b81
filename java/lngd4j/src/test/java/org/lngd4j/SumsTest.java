// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import org.lngd4j.nativelib.global.lngd;

/** Two optimizers that add their sums take the step of one that saw the whole batch. */
@Tag(TestDevice.TAG)
class SumsTest {
    private static final int SAMPLES = 12;
    private static final int INPUTS = 5;
    private static final int OUTPUTS = 4;

    /** A rank: the same weights and gradients, samples of its own. */
    private static final class Rank implements AutoCloseable {
        final LngdOptimizer optimizer;
        final StepPlan plan;
        final HostArray weights;
        private final double[][] inputs;
        private final double[][] signal;

        Rank(Fisher fisher) {
            optimizer = create(LngdOptions.recipe(100).fisher(fisher));
            Data data = new Data(4);
            weights = data.floats(OUTPUTS, INPUTS);
            plan =
                    optimizer.plan(
                            List.of(
                                    new LayerTensors(
                                            0,
                                            weights,
                                            data.vector(OUTPUTS),
                                            data.floats(OUTPUTS, INPUTS),
                                            data.vector(OUTPUTS))),
                            UpdateMode.WEIGHTS);
            inputs = data.matrix(SAMPLES, INPUTS);
            signal = data.matrix(SAMPLES, OUTPUTS);
        }

        static LngdOptimizer create(LngdOptions.Builder options) {
            return LngdOptimizer.create(
                    options.device(TestDevice.get())
                            .threads(1)
                            .precision(Precision.TF32X3)
                            .statisticsSamples(0)
                            .build(),
                    List.of(
                            LayerSpec.dense("hidden", INPUTS, OUTPUTS)
                                    .activation(Activation.TANH)));
        }

        void observe(int begin, int end) {
            optimizer.sampleOffset(begin);
            if (begin == end) {
                return;
            }
            optimizer.observe(
                    0, rows(inputs, begin, end), rows(signal, begin, end), Signal.PRE_ACTIVATIONS);
        }

        private static HostArray rows(double[][] all, int begin, int end) {
            return Data.array(java.util.Arrays.copyOfRange(all, begin, end));
        }

        @Override
        public void close() {
            plan.close();
            optimizer.close();
        }
    }

    /** In host memory, whatever the device. */
    private static void reduce(Rank... ranks) {
        SumBuffers shape = ranks[0].optimizer.sums();
        float[] floats = new float[(int) shape.floatCount()];
        double[] doubles = new double[(int) shape.doubleCount()];
        try (FloatPointer f = new FloatPointer(floats.length);
                DoublePointer d = new DoublePointer(doubles.length)) {
            for (Rank rank : ranks) {
                rank.optimizer.closeSums();
                SumBuffers own = rank.optimizer.sums();
                copy(rank.optimizer, f, own.floats(), 4L * floats.length);
                copy(rank.optimizer, d, own.doubles(), 8L * doubles.length);
                for (int i = 0; i < floats.length; i++) {
                    floats[i] += f.get(i);
                }
                for (int i = 0; i < doubles.length; i++) {
                    doubles[i] += d.get(i);
                }
            }
            f.put(floats);
            d.put(doubles);
            for (Rank rank : ranks) {
                SumBuffers own = rank.optimizer.sums();
                copy(rank.optimizer, own.floats(), f, 4L * floats.length);
                copy(rank.optimizer, own.doubles(), d, 8L * doubles.length);
                rank.optimizer.sumsReduced();
            }
        }
    }

    private static void copy(
            LngdOptimizer optimizer,
            org.bytedeco.javacpp.Pointer to,
            org.bytedeco.javacpp.Pointer from,
            long bytes) {
        optimizer.call(o -> lngd.lngd_device_copy(o, to, from, bytes));
    }

    @Test
    void twoRanksAreOne() {
        for (Fisher fisher : new Fisher[] {Fisher.EXPECTED, Fisher.SAMPLED}) {
            for (int share : new int[] {0, 5, 12}) {
                try (Rank one = new Rank(fisher);
                        Rank first = new Rank(fisher);
                        Rank second = new Rank(fisher)) {
                    float[] start = one.weights.values();
                    one.observe(0, SAMPLES);
                    one.plan.step(1);
                    for (Rank rank : List.of(first, second)) {
                        rank.optimizer.waitForSums(true);
                    }
                    first.observe(0, share);
                    second.observe(share, SAMPLES);
                    reduce(first, second);
                    first.plan.step(1);
                    second.plan.step(1);
                    assertThat(first.weights.values()).isEqualTo(second.weights.values());
                    assertThat(first.optimizer.saveState()).isEqualTo(second.optimizer.saveState());
                    float[] moved = Data.difference(one.weights.values(), start);
                    float[] apart = Data.difference(one.weights.values(), first.weights.values());
                    assertThat(Data.largest(moved)).isGreaterThan(0);
                    // Sums of 12 float32 numbers in another order, through factors whose condition
                    // number is below 1e3.
                    assertThat(Data.largest(apart)).isLessThan(1e-4 * Data.largest(moved));
                }
            }
        }
    }

    @Test
    void aStepWaits() {
        try (Rank rank = new Rank(Fisher.EXPECTED)) {
            rank.optimizer.waitForSums(true);
            rank.observe(0, SAMPLES);
            float[] before = rank.weights.values();
            assertThatThrownBy(() -> rank.plan.step(1))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContainingAll("layer 0", "sums");
            assertThatThrownBy(rank.optimizer::sumsReduced).isInstanceOf(LngdStateException.class);
            rank.optimizer.closeSums();
            assertThat(rank.optimizer.needsStatistics(0)).isFalse();
            assertThatThrownBy(rank.optimizer::closeSums).isInstanceOf(LngdStateException.class);
            assertThatThrownBy(() -> rank.plan.step(1)).isInstanceOf(LngdStateException.class);
            assertThat(rank.weights.values()).isEqualTo(before);
            rank.optimizer.discard();
            assertThat(rank.optimizer.needsStatistics(0)).isTrue();
            rank.optimizer.waitForSums(false);
            rank.observe(0, SAMPLES);
            rank.plan.step(1);
            assertThat(rank.weights.values()).isNotEqualTo(before);
        }
    }

    @Test
    void theLayout() {
        try (Rank rank = new Rank(Fisher.EXPECTED)) {
            SumBuffers sums = rank.optimizer.sums();
            assertThat(sums).isEqualTo(rank.optimizer.sums());
            assertThat(sums.kind())
                    .isEqualTo(TestDevice.get() == Device.CPU ? MemoryKind.HOST : MemoryKind.CUDA);
            assertThat(sums.floats().address()).isEqualTo(sums.floatAddress());
            assertThat(sums.floats().capacity()).isEqualTo(sums.floatCount());
            assertThat(sums.doubles().address()).isEqualTo(sums.doubleAddress());
            assertThat(sums.doubles().capacity()).isEqualTo(sums.doubleCount());
            assertThat(rank.optimizer.sumRange(0, Sum.COUNTS)).isEqualTo(new SumRange(0, 2));
            assertThat(rank.optimizer.sumRange(0, Sum.PSI).count()).isEqualTo(OUTPUTS);
            assertThat(rank.optimizer.sumRange(0, Sum.PHI).count()).isEqualTo(16 * (INPUTS + 1));
            assertThat(rank.optimizer.sumRange(0, Sum.SCALES).count()).isZero();
            assertThatThrownBy(() -> rank.optimizer.sumRange(1, Sum.PSI))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("layer");
            assertThatThrownBy(() -> rank.optimizer.sumRange(0, null))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("sum");
            for (long offset : new long[] {-1, 1L << 31}) {
                assertThatThrownBy(() -> rank.optimizer.sampleOffset(offset))
                        .isInstanceOf(LngdArgumentException.class)
                        .hasMessageContainingAll("offset", "" + offset);
            }
        }
        try (LngdOptimizer empirical = Rank.create(LngdOptions.paper())) {
            assertThatThrownBy(() -> empirical.waitForSums(true))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("EMPIRICAL");
        }
    }
}
