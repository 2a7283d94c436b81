// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.invalid;
import static org.lngd4j.nativelib.Abi.ok;

import java.util.Map;
import org.assertj.core.data.Percentage;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.IntPointer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;
import org.lngd4j.nativelib.global.lngd_optimizer;

/** lngd_set, lngd_get, lngd_get_config, lngd_layer_count. */
@Tag(TestDevice.TAG)
class SettingsTest {
    /** A good value and a bad one. */
    private static final Map<Integer, double[]> VALUES =
            Map.ofEntries(
                    Map.entry(lngd.LNGD_SET_LEARNING_RATE, new double[] {0.25, 0}),
                    Map.entry(lngd.LNGD_SET_MOMENTUM, new double[] {0.5, 1}),
                    Map.entry(lngd.LNGD_SET_WEIGHT_DECAY, new double[] {0.01, -0.01}),
                    Map.entry(lngd.LNGD_SET_DAMPING_FACTOR, new double[] {3, -3}),
                    Map.entry(lngd.LNGD_SET_DAMPING_FLOOR, new double[] {1e-7, 0}),
                    Map.entry(lngd.LNGD_SET_DAMPING_MIN, new double[] {1e-6, 0}),
                    Map.entry(lngd.LNGD_SET_DAMPING_MAX, new double[] {0.5, -1}),
                    Map.entry(lngd.LNGD_SET_RHO, new double[] {0.5, 1}),
                    Map.entry(lngd.LNGD_SET_MU, new double[] {1e-6, 0}),
                    Map.entry(lngd.LNGD_SET_TRUST_RATIO, new double[] {0.02, 0}),
                    Map.entry(lngd.LNGD_SET_STATISTICS_INTERVAL, new double[] {7, 0}),
                    Map.entry(lngd.LNGD_SET_INVERSE_INTERVAL, new double[] {9, 1.5}),
                    Map.entry(lngd.LNGD_SET_SIGNAL_REFERENCE, new double[] {0.25, -0.25}));

    private final lngd_optimizer optimizer = Abi.optimizer();

    @Test
    void aGoodValueIsKept() {
        VALUES.forEach(
                (setting, values) -> {
                    ok(lngd.lngd_set(optimizer, setting, values[0]));
                    assertThat(get(setting)).isEqualTo(values[0]);
                });
    }

    @Test
    void aBadValueChangesNothing() {
        VALUES.forEach(
                (setting, values) -> {
                    double before = get(setting);
                    for (double bad :
                            new double[] {
                                values[1],
                                Double.NaN,
                                Double.POSITIVE_INFINITY,
                                Double.NEGATIVE_INFINITY,
                                -1,
                                -1e300
                            }) {
                        invalid(lngd.lngd_set(optimizer, setting, bad));
                        assertThat(get(setting)).isEqualTo(before);
                    }
                });
    }

    @Test
    void unknownSettingsAreRefused() {
        for (int setting : new int[] {-1, 13, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
            invalid(lngd.lngd_set(optimizer, setting, 0.5), "setting", Integer.toString(setting));
            invalid(
                    lngd.lngd_get(optimizer, setting, new double[1]),
                    "setting",
                    Integer.toString(setting));
        }
        invalid(lngd.lngd_get(optimizer, 0, (DoublePointer) null), "value");
    }

    /** S0 of a single layer is the product of its mean squares, over all blocks and outputs. */
    @Test
    void theSignalReferenceIsTakenAtTheFirstInversionAndCanBeTakenAnew() {
        lngd_config config = Abi.config(lngd.LNGD_PRESET_BLOCK_KRONECKER);
        Abi.Net net = new Abi.Net(config).planned();
        double first = step(net, 1);
        assertThat(get(net.optimizer, lngd.LNGD_SET_SIGNAL_REFERENCE))
                .isCloseTo(first, Percentage.withPercentage(1e-4)); // sums of float32 rows
        // Held, although the running averages have moved on.
        step(net, 3);
        assertThat(get(net.optimizer, lngd.LNGD_SET_SIGNAL_REFERENCE))
                .isCloseTo(first, Percentage.withPercentage(1e-4));
        ok(lngd.lngd_set(net.optimizer, lngd.LNGD_SET_SIGNAL_REFERENCE, 0));
        step(net, 3);
        // Gradients three times as large, twice, into averages with rho 0.9.
        assertThat(get(net.optimizer, lngd.LNGD_SET_SIGNAL_REFERENCE))
                .isCloseTo((0.81 + 9 * 0.19) * first, Percentage.withPercentage(1e-4));
        ok(lngd.lngd_destroy(net.optimizer));
    }

    /** One step with a batch's gradients times {@code scale}; alpha_l beta_l of that batch. */
    private static double step(Abi.Net net, float scale) {
        float[] a = Abi.values(Abi.random(0, Abi.SAMPLES * Abi.INPUTS), Abi.SAMPLES * Abi.INPUTS);
        float[] g =
                Abi.values(Abi.random(1000, Abi.SAMPLES * Abi.OUTPUTS), Abi.SAMPLES * Abi.OUTPUTS);
        double inputs = Abi.SAMPLES; // the constant of the bias
        for (float x : a) {
            inputs += x * x;
        }
        double signals = 0;
        for (int i = 0; i < g.length; i++) {
            g[i] *= scale;
            signals += g[i] * g[i];
        }
        ok(
                lngd.lngd_observe(
                        net.optimizer,
                        0,
                        Abi.tensor(Abi.floats(a), Abi.SAMPLES, Abi.INPUTS),
                        Abi.tensor(Abi.floats(g), Abi.SAMPLES, Abi.OUTPUTS),
                        lngd.LNGD_SIGNAL_GRADIENTS));
        ok(lngd.lngd_step(net.plan, 1, null));
        return inputs / (Abi.SAMPLES * (Abi.INPUTS + 1)) * signals / g.length;
    }

    @Test
    void theConfigurationTellsTheValuesOfNow() {
        ok(lngd.lngd_set(optimizer, lngd.LNGD_SET_MOMENTUM, 0.75));
        lngd_config config = new lngd_config();
        config.struct_size(config.sizeof());
        ok(lngd.lngd_get_config(optimizer, config));
        assertThat(config.momentum()).isEqualTo(0.75);
        assertThat(config.device()).isEqualTo(TestDevice.CODE);
        assertThat(config.threads()).isEqualTo(1);
        invalid(lngd.lngd_get_config(optimizer, null), "out");
        invalid(lngd.lngd_get_config(optimizer, config.struct_size(3)), "struct_size");
    }

    @Test
    void layersAreCounted() {
        int[] count = new int[1];
        ok(lngd.lngd_layer_count(optimizer, count));
        assertThat(count[0]).isEqualTo(1);
        invalid(lngd.lngd_layer_count(optimizer, (IntPointer) null), "out");
    }

    private double get(int setting) {
        return get(optimizer, setting);
    }

    private static double get(lngd_optimizer optimizer, int setting) {
        double[] value = new double[1];
        ok(lngd.lngd_get(optimizer, setting, value));
        return value[0];
    }
}
