// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import org.assertj.core.data.Offset;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.lngd4j.OutputModel;
import org.lngd4j.adapter.TargetNoise;

/** Drawn targets against loops that are easy to read. */
class SampledTargetsTest {
    private static final int ROWS = 400;
    private static final int COLUMNS = 3;

    // A softmax or sigmoid of float32 differs from a double one by a few roundings.
    private static final Offset<Float> ROUNDING = Offset.offset(1e-6f);

    private final Tensor logits = Nets.inputs(5, ROWS, COLUMNS);
    private final float[] s = Nets.floats(logits);
    private final TargetNoise noise = new TargetNoise(7, 3, 1);

    private float[] gradient(OutputModel model) {
        return Nets.floats(SampledTargets.gradient(model, logits, 7, 3, 1, 0));
    }

    @Test
    void classesAreDrawnFromTheSoftmax() {
        float[] g = gradient(OutputModel.SOFTMAX);
        for (int row = 0; row < ROWS; row++) {
            double[] p = new double[COLUMNS];
            double total = 0;
            for (int i = 0; i < COLUMNS; i++) {
                p[i] = Math.exp(s[row * COLUMNS + i]);
                total += p[i];
            }
            double left = noise.uniform(row) * total;
            int y = 0;
            while (y < COLUMNS - 1 && left >= p[y]) {
                left -= p[y++];
            }
            for (int i = 0; i < COLUMNS; i++) {
                float expected = (float) (p[i] / total - (i == y ? 1 : 0));
                assertThat(g[row * COLUMNS + i]).isCloseTo(expected, ROUNDING);
            }
        }
    }

    @Test
    void aClassOfProbabilityZeroIsNeverDrawn() {
        Tensor extreme =
                Tensor.create(new float[] {-200, 0, -200, 0, -200, -200, -200, -200, 0}, 3, 3);
        float[] g = Nets.floats(SampledTargets.gradient(OutputModel.SOFTMAX, extreme, 1, 1, 0, 0));
        for (float x : g) {
            assertThat(x).isEqualTo(0f);
        }
    }

    @Test
    void bitsAreDrawnFromTheSigmoid() {
        float[] g = gradient(OutputModel.SIGMOID);
        for (int i = 0; i < g.length; i++) {
            double p = 1 / (1 + Math.exp(-s[i]));
            float expected = (float) (p - (noise.uniform(i) < p ? 1 : 0));
            assertThat(g[i]).isCloseTo(expected, ROUNDING);
        }
    }

    @Test
    void predictionsHaveNormalNoise() {
        float[] g = gradient(OutputModel.SQUARED_ERROR);
        for (int i = 0; i < g.length; i++) {
            assertThat(g[i]).isEqualTo((float) -noise.normal(i));
        }
    }

    @Test
    void thePyTorchGeneratorIsLeftAlone() {
        Tensor after = Nets.inputs(5, 2, 2);
        float[] expected = Nets.floats(org.bytedeco.pytorch.global.torch.randn(4));
        Nets.inputs(5, 2, 2);
        gradient(OutputModel.SOFTMAX);
        assertThat(Nets.floats(org.bytedeco.pytorch.global.torch.randn(4)))
                .containsExactly(expected);
        assertThat(after.numel()).isEqualTo(4);
    }
}
