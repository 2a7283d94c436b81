// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.INPUTS;
import static org.lngd4j.nativelib.Abi.OUTPUTS;
import static org.lngd4j.nativelib.Abi.SAMPLES;
import static org.lngd4j.nativelib.Abi.fails;
import static org.lngd4j.nativelib.Abi.invalid;
import static org.lngd4j.nativelib.Abi.ok;
import static org.lngd4j.nativelib.Abi.random;
import static org.lngd4j.nativelib.Abi.values;
import static org.lngd4j.nativelib.Abi.write;

import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_health;
import org.lngd4j.nativelib.global.lngd_samples;

/** lngd_step and lngd_swap_averages. */
@Tag(TestDevice.TAG)
class StepTest {
    @Test
    void badFactorsAreRefusedAndNothingMoves() {
        Abi.Net net = new Abi.Net().planned();
        float[] before = net.weights();
        for (double factor :
                new double[] {
                    Double.NaN, -1e-9, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY
                }) {
            invalid(lngd.lngd_step(net.plan, factor, null), "factor");
        }
        assertThat(net.weights()).isEqualTo(before);
    }

    @Test
    void withoutStatisticsNothingMoves() {
        Abi.Net net = new Abi.Net().planned();
        float[] before = net.weights();
        ok(lngd.lngd_step(net.plan, 1, null));
        assertThat(net.weights()).isEqualTo(before);
        assertThat(health(net).skipped_steps()).isEqualTo(1);
        assertThat(health(net).last_step_skipped()).isEqualTo(1);
        net.step(1);
        assertThat(net.weights()).isNotEqualTo(before);
        assertThat(health(net).last_step_skipped()).isZero();
    }

    @Test
    void aGradientThatIsNotANumberMovesNothing() {
        for (float poison : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            Abi.Net net = new Abi.Net().planned();
            net.step(1);
            float[] before = net.weights();
            net.weightGradients.put(4, poison);
            net.step(2);
            assertThat(net.weights()).isEqualTo(before);
            assertThat(health(net).skipped_steps()).isEqualTo(1);
        }
    }

    @Test
    void gradientsCanTakeTheUpdate() {
        Abi.Net direct = new Abi.Net().planned();
        direct.step(1);
        Abi.Net indirect = new Abi.Net();
        float[] before = indirect.weights();
        ok(
                lngd.lngd_plan_create(
                        indirect.optimizer,
                        indirect.binding,
                        1,
                        lngd.LNGD_UPDATE_GRADIENTS,
                        indirect.plan));
        indirect.step(1);
        assertThat(indirect.weights()).isEqualTo(before);
        float[] update = values(indirect.weightGradients, OUTPUTS * INPUTS);
        for (int i = 0; i < before.length; i++) {
            assertThat(before[i] - update[i])
                    .isCloseTo(direct.weights.get(i), org.assertj.core.data.Offset.offset(1e-6f));
        }
    }

    @Test
    void samplesAreAskedForAndChecked() {
        Abi.Net net = new Abi.Net(Abi.config(lngd.LNGD_PRESET_RECIPE_EMPIRICAL)).planned();
        int[] bits = new int[1];
        ok(lngd.lngd_needs(net.optimizer, 0, bits));
        assertThat(bits[0] & lngd.LNGD_NEEDS_DELTAS).isNotZero();
        ok(Abi.observe(net.optimizer, Abi.inputs(), Abi.signal()));
        invalid(lngd.lngd_step(net.plan, 1, null), "samples");
        lngd_samples samples = samples();
        samples.inputs().ndim(1);
        invalid(lngd.lngd_step(net.plan, 1, samples), "inputs");
        samples = samples();
        samples.deltas().dtype_bits((byte) 64);
        invalid(lngd.lngd_step(net.plan, 1, samples), "deltas");
        samples = samples();
        write(samples.deltas(), random(9, 100), SAMPLES + 1, OUTPUTS);
        invalid(lngd.lngd_step(net.plan, 1, samples), "deltas");
        samples = samples();
        samples.deltas().data((Pointer) null);
        invalid(lngd.lngd_step(net.plan, 1, samples), "deltas");
        float[] before = net.weights();
        ok(lngd.lngd_step(net.plan, 1, samples()));
        assertThat(net.weights()).isNotEqualTo(before);
        assertThat(health(net).curvature()).isPositive();
    }

    @Test
    void averagesAreSwappedInAndBackToTheSameBits() {
        Abi.Net net = new Abi.Net().planned();
        int[] swapped = {7};
        ok(lngd.lngd_swap_averages(net.plan, swapped));
        assertThat(swapped[0]).isZero();
        for (int i = 0; i < 5; i++) {
            net.step(i);
        }
        float[] now = net.weights();
        ok(lngd.lngd_swap_averages(net.plan, swapped));
        assertThat(swapped[0]).isEqualTo(1);
        assertThat(net.weights()).isNotEqualTo(now);
        fails(lngd.LNGD_INVALID_STATE, lngd.lngd_step(net.plan, 1, null), "average");
        ok(lngd.lngd_swap_averages(net.plan, (IntPointer) null));
        assertThat(net.weights()).isEqualTo(now);
        net.step(9);
    }

    @Test
    void withoutAveragingThereIsNothingToSwap() {
        Abi.Net net = new Abi.Net(Abi.config(lngd.LNGD_PRESET_RECIPE).averaging(0)).planned();
        net.step(1);
        fails(lngd.LNGD_INVALID_STATE, lngd.lngd_swap_averages(net.plan, new int[1]), "averaging");
    }

    private static lngd_samples samples() {
        lngd_samples samples = new lngd_samples();
        write(samples.inputs(), random(1, SAMPLES * INPUTS), SAMPLES, INPUTS);
        write(samples.deltas(), random(8, SAMPLES * OUTPUTS), SAMPLES, OUTPUTS);
        return samples;
    }

    private static lngd_health health(Abi.Net net) {
        lngd_health health = new lngd_health();
        ok(lngd.lngd_layer_health(net.optimizer, 0, health.struct_size(health.sizeof())));
        return health;
    }
}
