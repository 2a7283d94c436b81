// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.INPUTS;
import static org.lngd4j.nativelib.Abi.OUTPUTS;
import static org.lngd4j.nativelib.Abi.SAMPLES;
import static org.lngd4j.nativelib.Abi.invalid;
import static org.lngd4j.nativelib.Abi.ok;

import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_optimizer;

/** lngd_philox, lngd_fisher_rows, lngd_activation_apply. */
class PrimitivesTest {
    @Test
    void philoxGivesTheKnownAnswersOfRandom123() {
        int f = 0xffffffff;
        assertThat(philox(new int[4], new int[2]))
                .containsExactly(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
        assertThat(philox(new int[] {f, f, f, f}, new int[] {f, f}))
                .containsExactly(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
        assertThat(
                        philox(
                                new int[] {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                                new int[] {0xa4093822, 0x299f31d0}))
                .containsExactly(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1);
        invalid(lngd.lngd_philox((int[]) null, new int[2], new int[4]), "counter");
        invalid(lngd.lngd_philox(new int[4], (int[]) null, new int[4]), "key");
        invalid(lngd.lngd_philox(new int[4], new int[2], (int[]) null), "out");
    }

    @Test
    void rowsAreThoseOfTheFormulas() {
        lngd_optimizer o = Abi.optimizer();
        FloatPointer a = Abi.random(1, SAMPLES * INPUTS);
        FloatPointer s = Abi.random(2, SAMPLES * OUTPUTS);
        float[] q = new float[SAMPLES * OUTPUTS];
        float[] r = new float[SAMPLES];
        float[] c = new float[SAMPLES];
        ok(lngd.lngd_fisher_rows(o, 0, 0, Abi.inputs(), Abi.signal(), 0, q, r, c));
        for (int n = 0; n < SAMPLES; n++) {
            double rn = 0;
            double cn = 1;
            for (int i = 0; i < OUTPUTS; i++) {
                double slope = s.get(n * OUTPUTS + i) > 0 ? 1 : 0;
                assertThat((double) q[n * OUTPUTS + i]).isEqualTo(slope);
                rn += slope;
            }
            for (int j = 0; j < INPUTS; j++) {
                cn += (double) a.get(n * INPUTS + j) * a.get(n * INPUTS + j);
            }
            assertThat((double) r[n]).isEqualTo(rn);
            assertThat((double) c[n]).isCloseTo(cn, Offset.offset(1e-5 * cn));
        }
        ok(
                lngd.lngd_fisher_rows(
                        o, 0, 0, Abi.inputs(), Abi.signal(), 0, (float[]) null, null, null));
        invalid(
                lngd.lngd_fisher_rows(o, 0, -1, Abi.inputs(), Abi.signal(), 0, q, r, c),
                "step",
                "-1");
        invalid(
                lngd.lngd_fisher_rows(o, 4, 0, Abi.inputs(), Abi.signal(), 0, q, r, c),
                "layer",
                "4");
        invalid(
                lngd.lngd_fisher_rows(o, 0, 0, Abi.inputs(), Abi.signal(), 5, q, r, c),
                "signal_kind",
                "5");
        BadTensors.matrix()
                .forEach(
                        (what, spoil) -> {
                            var inputs = Abi.inputs();
                            spoil.accept(inputs);
                            invalid(
                                    lngd.lngd_fisher_rows(
                                            o, 0, 0, inputs, Abi.signal(), 0, q, r, c),
                                    "inputs");
                            var signal = Abi.signal();
                            spoil.accept(signal);
                            invalid(
                                    lngd.lngd_fisher_rows(
                                            o, 0, 0, Abi.inputs(), signal, 0, q, r, c),
                                    "signal");
                        });
    }

    @Test
    void samplingDependsOnSeedAndStepOnly() {
        lngd_optimizer first = sampled(1);
        float[] rows = rows(first, 3);
        assertThat(rows(first, 3)).isEqualTo(rows);
        assertThat(rows(sampled(1), 3)).isEqualTo(rows);
        assertThat(rows(first, 4)).isNotEqualTo(rows);
        assertThat(rows(sampled(2), 3)).isNotEqualTo(rows);
    }

    private static lngd_optimizer sampled(long seed) {
        return Abi.optimizer(
                Abi.config(0).fisher(lngd.LNGD_FISHER_SAMPLED).seed(seed), Abi.layer());
    }

    private static float[] rows(lngd_optimizer o, long step) {
        float[] q = new float[SAMPLES * OUTPUTS];
        ok(lngd.lngd_fisher_rows(o, 0, step, Abi.inputs(), Abi.signal(), 0, q, null, null));
        return q;
    }

    @Test
    void activationsAreApplied() {
        float[] s = {-2, -0.5f, 0, 0.5f, 2};
        float[] value = new float[5];
        float[] slope = new float[5];
        ok(lngd.lngd_activation_apply(lngd.LNGD_ACTIVATION_TANH, 0, 5, s, value, slope));
        for (int i = 0; i < 5; i++) {
            assertThat((double) value[i]).isCloseTo(Math.tanh(s[i]), Offset.offset(3e-7));
            assertThat((double) slope[i])
                    .isCloseTo(1 - Math.pow(Math.tanh(s[i]), 2), Offset.offset(6e-7));
        }
        ok(lngd.lngd_activation_apply(lngd.LNGD_ACTIVATION_TANH, 0, 5, s, null, slope));
        ok(lngd.lngd_activation_apply(lngd.LNGD_ACTIVATION_TANH, 0, 5, s, value, null));
        invalid(lngd.lngd_activation_apply(9, 0, 5, s, value, slope), "activation", "9");
        invalid(lngd.lngd_activation_apply(-1, 0, 5, s, value, slope), "activation", "-1");
        invalid(
                lngd.lngd_activation_apply(
                        lngd.LNGD_ACTIVATION_ELU, Double.NaN, 5, s, value, slope),
                "parameter");
        invalid(
                lngd.lngd_activation_apply(lngd.LNGD_ACTIVATION_TANH, 0, -5, s, value, slope),
                "n",
                "-5");
        invalid(
                lngd.lngd_activation_apply(
                        lngd.LNGD_ACTIVATION_TANH, 0, 5, (float[]) null, value, slope),
                "s");
    }

    private static int[] philox(int[] counter, int[] key) {
        int[] out = new int[4];
        ok(lngd.lngd_philox(counter, key, out));
        return out;
    }
}
