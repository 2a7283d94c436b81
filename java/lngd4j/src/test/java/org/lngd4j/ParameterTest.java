// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;

/** Tensors outside of any layer, and what a single layer does otherwise than the others. */
@Tag(TestDevice.TAG)
class ParameterTest {
    private static final LngdOptions OPTIONS =
            LngdOptions.recipe(10)
                    .device(TestDevice.get())
                    .schedule(Schedule.constant(1))
                    .averaging(true)
                    .build();

    private final HostArray w = new HostArray(new float[] {1, -2, 3, 0.5f, 0, 7}, 2, 3);
    private final HostArray g = new HostArray(new float[] {2, 1, -1, 0, 4, -3}, 2, 3);

    private void steps(ParameterRule rule, int count, double factor) {
        List<LayerSpec> specs = List.of(LayerSpec.parameter("table", 6, rule));
        try (LngdOptimizer optimizer = LngdOptimizer.create(OPTIONS, specs);
                StepPlan plan =
                        optimizer.plan(
                                List.of(new LayerTensors(0, w, null, g, null)),
                                UpdateMode.WEIGHTS)) {
            for (int i = 0; i < count; i++) {
                plan.step(factor);
            }
            assertThat(optimizer.health(0).steps()).isEqualTo(count);
            assertThat(optimizer.health(0).skippedSteps()).isZero();
            assertThat(optimizer.shape(0, Field.MOMENTUM)).containsExactly(6);
            assertThat(optimizer.read(0, Field.MOMENTUM)).hasSize(6);
        }
    }

    @Test
    void adamWMovesByTheSignAtFirst() {
        float[] before = w.values();
        float[] gradient = g.values();
        steps(ParameterRule.adamW().learningRate(0.1).weightDecay(0.01), 1, 0.5);
        float[] after = w.values();
        for (int i = 0; i < after.length; i++) {
            // m / (1 - beta1) = g and v / (1 - beta2) = g^2, so D = g / (|g| + epsilon).
            double d = gradient[i] / (Math.abs(gradient[i]) + 1e-8);
            double expected = before[i] - 0.05 * (d + 0.01 * before[i]);
            assertThat(after[i]).isCloseTo((float) expected, Offset.offset(1e-6f));
        }
    }

    @Test
    void nesterovLooksAhead() {
        float[] before = w.values();
        float[] gradient = g.values();
        steps(ParameterRule.nesterov(0.1), 2, 1);
        float[] after = w.values();
        for (int i = 0; i < after.length; i++) {
            // M1 = -e G, W += 0.9 M1 - e G; M2 = 0.9 M1 - e G, W += 0.9 M2 - e G.
            double e = 0.1 * gradient[i];
            double expected = before[i] - 1.9 * e - (0.9 * 1.9 + 1) * e;
            assertThat(after[i]).isCloseTo((float) expected, Offset.offset(2e-6f));
        }
    }

    @Test
    void whatDoesNotFitIsNamed() {
        ParameterRule rule = ParameterRule.adamW();
        List<LayerSpec> specs = List.of(LayerSpec.parameter("table", 5, rule));
        try (LngdOptimizer optimizer = LngdOptimizer.create(OPTIONS, specs)) {
            assertThatThrownBy(
                            () ->
                                    optimizer.plan(
                                            List.of(new LayerTensors(0, w, null, g, null)),
                                            UpdateMode.WEIGHTS))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("table")
                    .hasMessageContaining("5 elements");
            assertThatThrownBy(() -> optimizer.observe(0, w, g, Signal.PRE_ACTIVATIONS))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("a parameter has no statistics");
            assertThat(optimizer.needsStatistics(0)).isFalse();
            assertThatThrownBy(() -> optimizer.read(0, Field.PHI))
                    .isInstanceOf(LngdArgumentException.class);
        }
        assertThatThrownBy(() -> LayerSpec.parameter("table", 0, rule))
                .hasMessageContaining("elements");
        assertThatThrownBy(() -> rule.learningRate(0)).hasMessageContaining("learningRate");
        assertThatThrownBy(() -> rule.weightDecay(Double.NaN)).hasMessageContaining("weightDecay");
        assertThatThrownBy(() -> LayerOptions.DEFAULT.rateMultiplier(-1))
                .hasMessageContaining("rateMultiplier");
        assertThatThrownBy(() -> LayerSpec.parameter("table", 5, rule).stride(2))
                .hasMessageContaining("a parameter");
    }

    @Test
    void aParameterIsNoLayerForWhatIsRecommended() {
        LayerSpec output = LayerSpec.dense("output", 4, 3).output(OutputModel.SOFTMAX);
        LngdOptions alone = LngdOptions.recommended(List.of(output), 100, 32);
        LayerSpec scale = LayerSpec.parameter("scale", 9, ParameterRule.adamW());
        assertThat(LngdOptions.recommended(List.of(output, scale), 100, 32)).isEqualTo(alone);
    }
}
