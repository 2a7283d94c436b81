// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;

/** Gradients clipped by the norm of all of them, through the Java API. */
class GradientClippingTest {
    private static final int OUTPUTS = 3;
    private static final int INPUTS = 4;
    private static final int OTHERS = 5;
    private static final double MAX_NORM = 0.5;

    /** A layer and a parameter with their plan. */
    private static final class Net implements AutoCloseable {
        final HostArray weights = numbers(1, OUTPUTS, INPUTS);
        final HostArray gradients = numbers(2, OUTPUTS, INPUTS);
        final HostArray scales = numbers(3, OTHERS);
        final HostArray scaleGradients = numbers(4, OTHERS);
        final LngdOptimizer optimizer;
        final StepPlan plan;

        Net(double clipping) {
            LngdOptions options =
                    LngdOptions.recipe(10)
                            .device(TestDevice.get())
                            .trustRatio(TrustRatio.OFF, 0)
                            .learningRate(0.1)
                            .gradientClipping(clipping)
                            .build();
            optimizer =
                    LngdOptimizer.create(
                            options,
                            List.of(
                                    LayerSpec.dense("layer", INPUTS, OUTPUTS).bias(false),
                                    LayerSpec.parameter(
                                            "scale", OTHERS, ParameterRule.nesterov(0.01))));
            plan =
                    optimizer.plan(
                            List.of(
                                    new LayerTensors(0, weights, null, gradients, null),
                                    new LayerTensors(1, scales, null, scaleGradients, null)),
                            UpdateMode.WEIGHTS);
        }

        static HostArray numbers(int seed, long... shape) {
            HostArray array = HostArray.zeros(shape);
            float[] values = array.values();
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) Math.sin(seed + 0.7 * i);
            }
            return array.set(values);
        }

        double norm() {
            double square = 0;
            for (HostArray array : List.of(gradients, scaleGradients)) {
                for (float g : array.values()) {
                    square += (double) g * g;
                }
            }
            return Math.sqrt(square);
        }

        void multiplyGradients(float factor) {
            for (HostArray array : List.of(gradients, scaleGradients)) {
                float[] values = array.values();
                for (int i = 0; i < values.length; i++) {
                    values[i] *= factor;
                }
                array.set(values);
            }
        }

        void step() {
            HostArray inputs = numbers(5, 6, INPUTS);
            HostArray signal = numbers(6, 6, OUTPUTS);
            optimizer.observe(0, inputs, signal, Signal.PRE_ACTIVATIONS);
            plan.step(1);
        }

        @Override
        public void close() {
            optimizer.close();
        }
    }

    @Test
    @Tag("device")
    void gradientsAreThoseThatTheCallerWouldHaveClipped() {
        try (Net clipped = new Net(MAX_NORM);
                Net byHand = new Net(0);
                Net free = new Net(1e6);
                Net off = new Net(0)) {
            double norm = clipped.norm();
            assertThat(norm).isGreaterThan(2 * MAX_NORM);
            float factor = (float) (MAX_NORM / (norm + 1e-6));
            float[] before = clipped.gradients.values();
            byHand.multiplyGradients(factor);
            for (Net net : List.of(clipped, byHand, free, off)) {
                net.step();
            }
            assertThat(clipped.plan.gradientNorm()).isCloseTo(norm, Offset.offset(1e-14 * norm));
            assertThat(clipped.gradients.values()).isEqualTo(before); // only read
            assertThat(clipped.scales.values()).isEqualTo(byHand.scales.values());
            assertThat(clipped.scales.values()).isNotEqualTo(off.scales.values());
            for (int i = 0; i < OUTPUTS * INPUTS; i++) { // packed, where BLAS would read in place
                assertThat(clipped.weights.values()[i])
                        .isCloseTo(byHand.weights.values()[i], Offset.offset(1e-6f));
            }
            assertThat(clipped.weights.values()).isNotEqualTo(off.weights.values());
            assertThat(free.weights.values()).isEqualTo(off.weights.values());
            assertThat(free.scales.values()).isEqualTo(off.scales.values());
        }
    }

    @Test
    void aNormThatIsNotFiniteKeepsEverythingOut() {
        try (Net net = new Net(MAX_NORM)) {
            float[] weights = net.weights.values();
            float[] scales = net.scales.values();
            net.scaleGradients.set(1, 2, Float.NaN, 3, 4);
            net.step();
            assertThat(net.plan.gradientNorm()).isNaN();
            assertThat(net.weights.values()).isEqualTo(weights);
            assertThat(net.scales.values()).isEqualTo(scales);
            assertThat(net.optimizer.health(0).skippedSteps()).isEqualTo(1);
            assertThat(net.optimizer.health(1).skippedSteps()).isEqualTo(1);
        }
    }

    @Test
    void theNormIsThereAfterAStepWhereGradientsAreClipped() {
        try (Net off = new Net(0);
                Net on = new Net(1)) {
            off.step();
            assertThatThrownBy(off.plan::gradientNorm)
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("gradient_clipping is 0");
            assertThatThrownBy(on.plan::gradientNorm)
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("no step");
            on.step();
            on.plan.close();
            assertThatThrownBy(on.plan::gradientNorm).isInstanceOf(LngdHandleException.class);
        }
    }
}
