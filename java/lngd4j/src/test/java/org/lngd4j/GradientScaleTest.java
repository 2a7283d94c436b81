// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;

/** Gradients of a scaled loss, and the flag that keeps a step out, through the Java API. */
class GradientScaleTest {
    private static final int OUTPUTS = 3;
    private static final int INPUTS = 4;
    private static final int SAMPLES = 6;

    private static final class Net implements AutoCloseable {
        final HostArray weights = numbers(1, 1, OUTPUTS, INPUTS);
        final HostArray gradients = HostArray.zeros(OUTPUTS, INPUTS);
        final LngdOptimizer optimizer;
        final StepPlan plan;

        Net() {
            LngdOptions options =
                    LngdOptions.blockKronecker(10)
                            .device(TestDevice.get())
                            .trustRatio(TrustRatio.OFF, 0)
                            .softTrust(false)
                            .outputBound(false)
                            .weightDecay(0, WeightDecay.DECOUPLED)
                            .factoredDamping(0.1)
                            .learningRate(0.1)
                            .statisticsInterval(1)
                            .inverseInterval(1)
                            .build();
            optimizer =
                    LngdOptimizer.create(
                            options,
                            List.of(LayerSpec.dense("layer", INPUTS, OUTPUTS).bias(false)));
            plan =
                    optimizer.plan(
                            List.of(new LayerTensors(0, weights, null, gradients, null)),
                            UpdateMode.WEIGHTS);
        }

        static HostArray numbers(int seed, float factor, long... shape) {
            HostArray array = HostArray.zeros(shape);
            float[] values = array.values();
            for (int i = 0; i < values.length; i++) {
                values[i] = factor * (float) Math.sin(seed + 0.7 * i);
            }
            return array.set(values);
        }

        /** What the loss times {@code scale} gives, and signals times {@code signals}. */
        void step(int t, float scale, float signals) {
            optimizer.observe(
                    0,
                    numbers(10 + t, 1, SAMPLES, INPUTS),
                    numbers(20 + t, signals, SAMPLES, OUTPUTS),
                    Signal.GRADIENTS);
            gradients.set(numbers(30 + t, scale, OUTPUTS, INPUTS).values());
            plan.step(1);
        }

        @Override
        public void close() {
            optimizer.close();
        }
    }

    @Test
    @Tag("device")
    void aScaledLossMakesTheStepsOfTheLoss() {
        try (Net plain = new Net();
                Net number = new Net();
                Net tensor = new Net()) {
            HostArray scale = HostArray.zeros(1);
            tensor.optimizer.gradientScale(scale, true, null);
            number.optimizer.gradientScale(1024);
            for (int t = 0; t < 3; t++) {
                float s = 1 << (4 * t);
                scale.set(s);
                plain.step(t, 1, 1);
                number.step(t, 1024, 1);
                tensor.step(t, s, s);
                assertThat(number.weights.values()).isEqualTo(plain.weights.values());
                assertThat(tensor.weights.values()).isEqualTo(plain.weights.values());
            }
            for (Net net : List.of(number, tensor)) {
                net.optimizer.gradientScale(1);
                net.step(3, 1, 1);
            }
            plain.step(3, 1, 1);
            assertThat(number.weights.values()).isEqualTo(plain.weights.values());
            assertThat(tensor.weights.values()).isEqualTo(plain.weights.values());
        }
    }

    @Test
    @Tag("device")
    void aFlaggedStepWasNotTaken() {
        try (Net with = new Net();
                Net without = new Net()) {
            HostArray flag = HostArray.zeros(1);
            with.optimizer.gradientScale(8, false, flag);
            for (int t = 0; t < 4; t++) {
                boolean skip = t == 0 || t == 2; // the first one too
                flag.set(skip ? 1 : 0);
                with.step(t, skip ? Float.POSITIVE_INFINITY : 8, 1);
                if (!skip) {
                    without.step(t, 1, 1);
                }
                assertThat(with.weights.values()).isEqualTo(without.weights.values());
            }
            LayerHealth health = with.optimizer.health(0);
            assertThat(health.skippedSteps()).isEqualTo(2);
            assertThat(health.statisticsUpdates()).isEqualTo(2);
            assertThat(health.skippedStatistics()).isZero();
        }
    }

    @Test
    void whatCannotBeTakenIsRefusedByName() {
        try (Net net = new Net()) {
            LngdOptimizer optimizer = net.optimizer;
            for (double bad : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
                assertThatThrownBy(() -> optimizer.gradientScale(bad))
                        .isInstanceOf(LngdArgumentException.class)
                        .hasMessageContainingAll("scale is", "allowed");
            }
            assertThatThrownBy(() -> optimizer.gradientScale(HostArray.zeros(2), false, null))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContainingAll("scale_at has 2", "allowed is 1");
            assertThatThrownBy(() -> optimizer.gradientScale(1, false, HostArray.zeros(1, 3)))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContainingAll("found_inf has 3", "allowed is 1");
            assertThatThrownBy(() -> optimizer.gradientScale(null, false, null))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("scale is null");
            net.step(0, 1, 1);
            assertThat(optimizer.health(0).skippedSteps()).isZero();
        }
    }
}
