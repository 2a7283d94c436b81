// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.optimizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.lngd4j.Schedule;

class CosineScheduleTest {
    @Test
    void fallsFromThePeakToZero() {
        CosineSchedule schedule = new CosineSchedule(0.4, 100);

        assertThat(schedule.valueAt(0, 0)).isEqualTo(0.4);
        assertThat(schedule.valueAt(50, 3)).isCloseTo(0.2, within(1e-15));
        assertThat(schedule.valueAt(25, 0)).isCloseTo(0.2 * (1 + Math.sqrt(0.5)), within(1e-15));
        assertThat(schedule.valueAt(100, 0)).isCloseTo(0, within(1e-15));
        assertThat(schedule.valueAt(200, 0)).isCloseTo(0, within(1e-15));
    }

    /** The same as LNGD's own schedule with a ramp. */
    @Test
    void risesFirst() {
        CosineSchedule schedule = new CosineSchedule(0.4, 100, 10);
        Schedule lngd = Schedule.cosine(100).warmup(10);

        assertThat(schedule.valueAt(0, 0)).isCloseTo(0.04, within(1e-15));
        for (int step = 0; step < 100; step++) {
            assertThat(schedule.valueAt(step, 0)).isCloseTo(0.4 * lngd.at(step, 0), within(1e-15));
        }
    }
}
