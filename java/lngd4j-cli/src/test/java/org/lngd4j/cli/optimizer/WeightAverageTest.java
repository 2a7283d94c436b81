// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.optimizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

class WeightAverageTest {
    @Test
    void followsTheFormula() {
        INDArray weights = Nd4j.createFromArray(new float[][] {{1, -2, 3}});
        WeightAverage average = new WeightAverage(weights);
        double[] expected = {99, 99, 99};
        for (int t = 0; t < 50; t++) {
            for (int k = 0; k < 3; k++) {
                double w = Math.sin(7 * t + k);
                weights.putScalar(k, w);
                // avg += 8 / (8 + t) (W - avg): at t = 0 the average is W, whatever it was.
                expected[k] += 8.0 / (8 + t) * ((float) w - expected[k]);
            }
            average.afterStep();
        }
        for (int k = 0; k < 3; k++) {
            // 50 roundings of numbers up to 1 in float.
            assertThat((double) average.average().getFloat(k))
                    .isCloseTo(expected[k], within(50 * 6e-8));
        }
    }

    @Test
    void swapsInAndBackBitByBit() {
        INDArray weights = Nd4j.rand(1, 1000).castTo(DataType.FLOAT);
        WeightAverage average = new WeightAverage(weights);
        average.afterStep();
        weights.addi(0.1);
        average.afterStep();
        INDArray before = weights.dup();
        INDArray during = average.callWithAverage(weights::dup);

        assertThat(during).isEqualTo(average.average()).isNotEqualTo(before);
        assertThat(weights.toFloatVector()).isEqualTo(before.toFloatVector());
    }

    @Test
    void comesBackAfterAnExceptionAndRefusesMisuse() {
        INDArray weights = Nd4j.createFromArray(new float[][] {{1, 2}});
        WeightAverage average = new WeightAverage(weights);
        average.afterStep();
        weights.assign(5);

        assertThatThrownBy(() -> average.callWithAverage(() -> average.callWithAverage(() -> 0)))
                .isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(
                        () ->
                                average.callWithAverage(
                                        () -> {
                                            average.afterStep();
                                            return 0;
                                        }))
                .isInstanceOf(IllegalStateException.class);
        assertThat(weights.toFloatVector()).containsExactly(5, 5);
    }
}
