// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.INPUTS;
import static org.lngd4j.nativelib.Abi.OUTPUTS;
import static org.lngd4j.nativelib.Abi.fails;
import static org.lngd4j.nativelib.Abi.invalid;
import static org.lngd4j.nativelib.Abi.ok;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_health;
import org.lngd4j.nativelib.global.lngd_memory;
import org.lngd4j.nativelib.global.lngd_times;

/** Health, memory, times, and the fields of a layer. */
@Tag(TestDevice.TAG)
class ReadOutTest {
    private static final int COLUMNS = INPUTS + 1;
    private static final int[] COUNTS = {
        COLUMNS * COLUMNS,
        OUTPUTS,
        COLUMNS * COLUMNS,
        OUTPUTS,
        OUTPUTS * COLUMNS,
        OUTPUTS * COLUMNS,
        OUTPUTS * COLUMNS
    };

    private final Abi.Net net = new Abi.Net().planned();

    @Test
    void fieldsHaveTheirSizes() {
        net.step(1);
        for (int field = 0; field < COUNTS.length; field++) {
            long[] count = new long[1];
            ok(lngd.lngd_layer_read(net.optimizer, 0, field, (float[]) null, 0, count));
            assertThat(count[0]).isEqualTo(COUNTS[field]);
            float[] values = new float[COUNTS[field] + 1];
            values[COUNTS[field]] = 42;
            ok(lngd.lngd_layer_read(net.optimizer, 0, field, values, values.length, count));
            assertThat(values[COUNTS[field]]).isEqualTo(42);
            invalid(
                    lngd.lngd_layer_read(net.optimizer, 0, field, values, COUNTS[field] - 1, count),
                    "capacity");
            invalid(lngd.lngd_layer_read(net.optimizer, 0, field, values, -1, count), "capacity");
        }
    }

    @Test
    void badArgumentsOfReadAreRefused() {
        float[] values = new float[100];
        invalid(
                lngd.lngd_layer_read(net.optimizer, 0, -1, values, 100, new long[1]),
                "field",
                "-1");
        invalid(lngd.lngd_layer_read(net.optimizer, 0, 7, values, 100, new long[1]), "field", "7");
        invalid(lngd.lngd_layer_read(net.optimizer, 1, 0, values, 100, new long[1]), "layer", "1");
        int direction = lngd.LNGD_FIELD_DIRECTION;
        fails(
                lngd.LNGD_INVALID_STATE,
                lngd.lngd_layer_read(net.optimizer, 0, direction, values, 100, new long[1]));
    }

    @Test
    void whatIsWrittenIsRead() {
        FloatPointer values = Abi.random(1, OUTPUTS * COLUMNS);
        int field = lngd.LNGD_FIELD_MOMENTUM;
        ok(lngd.lngd_layer_write(net.optimizer, 0, field, values, OUTPUTS * COLUMNS));
        FloatPointer back = new FloatPointer(OUTPUTS * COLUMNS);
        ok(
                lngd.lngd_layer_read(
                        net.optimizer, 0, field, back, OUTPUTS * COLUMNS, (LongPointer) null));
        assertThat(Abi.values(back, OUTPUTS * COLUMNS))
                .isEqualTo(Abi.values(values, OUTPUTS * COLUMNS));
    }

    @Test
    void badArgumentsOfWriteAreRefused() {
        float[] psi = {0.5f, 0.25f, 0.25f};
        int field = lngd.LNGD_FIELD_PSI;
        ok(lngd.lngd_layer_write(net.optimizer, 0, field, psi, 3));
        invalid(lngd.lngd_layer_write(net.optimizer, 0, field, psi, 2), "count");
        invalid(lngd.lngd_layer_write(net.optimizer, 0, field, psi, -3), "count");
        invalid(lngd.lngd_layer_write(net.optimizer, 0, field, (float[]) null, 3), "values");
        invalid(lngd.lngd_layer_write(net.optimizer, 3, field, psi, 3), "layer", "3");
        invalid(
                lngd.lngd_layer_write(
                        net.optimizer, 0, lngd.LNGD_FIELD_PHI_INVERSE, new float[36], 36),
                "field");
        invalid(lngd.lngd_layer_write(net.optimizer, 0, 77, psi, 3), "field", "77");
        for (float poison : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
            invalid(
                    lngd.lngd_layer_write(
                            net.optimizer, 0, field, new float[] {0.5f, poison, 0.5f}, 3));
        }
        float[] back = new float[3];
        ok(lngd.lngd_layer_read(net.optimizer, 0, field, back, 3, new long[1]));
        assertThat(back).isEqualTo(psi);
    }

    @Test
    void reportsCheckTheirStructs() {
        lngd_health health = new lngd_health();
        lngd_memory memory = new lngd_memory();
        lngd_times times = new lngd_times();
        for (int size : new int[] {0, 8, 1 << 20, -1}) {
            invalid(
                    lngd.lngd_layer_health(net.optimizer, 0, health.struct_size(size)),
                    "struct_size");
            invalid(
                    lngd.lngd_memory_report(net.optimizer, memory.struct_size(size)),
                    "struct_size");
            invalid(lngd.lngd_profile(net.optimizer, times.struct_size(size)), "struct_size");
        }
        invalid(lngd.lngd_layer_health(net.optimizer, 0, null), "out");
        invalid(lngd.lngd_layer_precision(net.optimizer, 0, (int[]) null), "precision");
        invalid(lngd.lngd_layer_precision(net.optimizer, 5, new int[1]), "layer", "5");
        invalid(lngd.lngd_memory_report(net.optimizer, null), "out");
        invalid(lngd.lngd_profile(net.optimizer, null), "out");
        invalid(
                lngd.lngd_layer_health(net.optimizer, 5, health.struct_size(health.sizeof())),
                "layer",
                "5");
    }

    @Test
    void memoryAddsUpAndTimesGrow() {
        lngd_memory m = new lngd_memory();
        ok(lngd.lngd_memory_report(net.optimizer, m.struct_size(m.sizeof())));
        assertThat(m.factors()).isPositive();
        assertThat(m.inverses()).isPositive();
        assertThat(m.total())
                .isEqualTo(
                        m.factors() + m.inverses() + m.momentum() + m.averages() + m.workspace());
        for (int i = 0; i < 20; i++) {
            net.step(i);
        }
        lngd_times t = new lngd_times();
        ok(lngd.lngd_profile(net.optimizer, t.struct_size(t.sizeof())));
        assertThat(t.statistics()).isPositive();
        assertThat(t.inverse()).isPositive();
        assertThat(t.precondition()).isPositive();
        assertThat(t.update()).isPositive();
    }
}
