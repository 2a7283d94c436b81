// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;

/** What can be read of an optimizer, and of the kernels. */
@Tag(TestDevice.TAG)
class ReadOutsTest {
    private final Net net =
            new Net(LngdOptions.recipe(100).statisticsInterval(1).inverseInterval(1));

    @AfterEach
    void close() {
        net.optimizer.close();
    }

    @Test
    void reportsTellWhatHappened() {
        net.stepped(3);
        LayerHealth health = net.optimizer.health(0);
        assertThat(health.steps()).isEqualTo(3);
        assertThat(health.statisticsUpdates()).isEqualTo(3);
        assertThat(health.inverseUpdates()).isEqualTo(3);
        assertThat(health.skippedSteps()).isZero();
        assertThat(health.lastFailedBlock()).isEqualTo(-1);
        assertThat(health.precision())
                .isEqualTo(TestDevice.get() == Device.CPU ? Precision.FP32 : Precision.TF32X3);
        assertThat(health.weightNorm()).isPositive();
        MemoryReport memory = net.optimizer.memory();
        assertThat(memory.total())
                .isEqualTo(
                        memory.factors()
                                + memory.inverses()
                                + memory.momentum()
                                + memory.averages()
                                + memory.workspace());
        KernelTimes times = net.optimizer.times();
        assertThat(times.statistics()).isPositive();
        assertThat(times.total()).isGreaterThan(times.statistics());
    }

    @Test
    void fieldsAreReadAndWrittenRowMajor() {
        net.stepped(2);
        assertThat(net.optimizer.shape(0, Field.MOMENTUM)).containsExactly(3, 6);
        float[] momentum = Data.flat(new Data(5).matrix(3, 6));
        net.optimizer.write(0, Field.MOMENTUM, momentum);
        assertThat(net.optimizer.read(0, Field.MOMENTUM)).isEqualTo(momentum);
        assertThat(net.optimizer.read(0, Field.PHI)).hasSize(36);
        refused(
                () -> net.optimizer.write(0, Field.MOMENTUM, new float[17]),
                "MOMENTUM",
                "hidden",
                "17",
                "18",
                "[3, 6]");
        refused(() -> net.optimizer.write(0, Field.MOMENTUM, null), "values");
        refused(() -> net.optimizer.write(0, Field.DIRECTION, momentum), "field");
        refused(() -> net.optimizer.read(0, null), "field");
        momentum[4] = Float.NaN;
        refused(() -> net.optimizer.write(0, Field.MOMENTUM, momentum), "values");
    }

    @Test
    void rowsOfAnObservationAreToldByTheSameKernels() {
        FisherRows rows = net.optimizer.fisherRows(0, 0, net.a, net.s, Signal.PRE_ACTIVATIONS);
        float[] s = net.s.values();
        float[] a = net.a.values();
        for (int n = 0; n < 4; n++) {
            double r = 0;
            double c = 1; // the constant of the bias
            for (int i = 0; i < 3; i++) {
                double slope = 1 - Math.pow(Math.tanh(s[3 * n + i]), 2);
                r += slope * slope;
                // A few roundings of numbers up to 1.
                assertThat((double) rows.q()[3 * n + i])
                        .isCloseTo(slope * slope, Offset.offset(1e-6));
            }
            for (int j = 0; j < 5; j++) {
                c += a[5 * n + j] * (double) a[5 * n + j];
            }
            assertThat((double) rows.r()[n]).isCloseTo(r, Offset.offset(1e-5));
            assertThat((double) rows.c()[n]).isCloseTo(c, Offset.offset(1e-5 * c));
        }
        refused(
                () -> net.optimizer.fisherRows(0, -1, net.a, net.s, Signal.PRE_ACTIVATIONS),
                "step",
                "-1");
        refused(
                () -> net.optimizer.fisherRows(0, 0, net.a, net.a, Signal.PRE_ACTIVATIONS),
                "signal",
                "[4, 5]");
    }

    @Test
    void activationsAreThoseOfTheKernels() {
        float[] s = net.s.values();
        float[] tanh = ActivationFunctions.value(Activation.TANH, 0, s);
        float[] slope = ActivationFunctions.derivative(Activation.TANH, 0, s);
        for (int i = 0; i < s.length; i++) {
            double t = Math.tanh(s[i]);
            // One rounding or two of numbers up to 1.
            assertThat((double) tanh[i]).isCloseTo(t, Offset.offset(1e-6));
            assertThat((double) slope[i]).isCloseTo(1 - t * t, Offset.offset(1e-6));
        }
        refused(() -> ActivationFunctions.value(null, 0, s), "activation");
        refused(() -> ActivationFunctions.value(Activation.TANH, 0, (float[]) null), "s is null");
        refused(() -> ActivationFunctions.value(Activation.TANH, 0), "values", "0");
        refused(() -> ActivationFunctions.value(Activation.LEAKY_RELU, 2, s), "parameter", "2");
    }

    @Test
    void samplingIsKeyedBySeed() {
        float[][] phi = new float[3][];
        long[] seeds = {1, 1, 2};
        for (int i = 0; i < 3; i++) {
            Net sampled = new Net(LngdOptions.recipe(100).fisher(Fisher.SAMPLED).seed(seeds[i]));
            sampled.stepped(1);
            phi[i] = sampled.optimizer.read(0, Field.PHI);
            sampled.optimizer.close();
        }
        assertThat(phi[1]).isEqualTo(phi[0]);
        assertThat(phi[2]).isNotEqualTo(phi[0]);
    }

    private static void refused(ThrowingCallable call, String... words) {
        assertThatThrownBy(call)
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContainingAll(words);
    }
}
