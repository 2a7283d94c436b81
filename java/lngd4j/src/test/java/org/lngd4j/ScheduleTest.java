// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;

/** The ready-made schedules. */
class ScheduleTest {
    private static final Offset<Double> TINY = Offset.offset(1e-15);

    @Test
    void cosineFallsFromOneToZero() {
        Schedule s = Schedule.cosine(100);
        assertThat(s.at(0, 0)).isEqualTo(1);
        assertThat(s.at(50, 0)).isCloseTo(0.5, TINY);
        assertThat(s.at(25, 0)).isCloseTo(0.5 + Math.sqrt(0.125), TINY);
        assertThat(s.at(100, 0)).isZero();
        assertThat(s.at(1000, 0)).isZero();
    }

    @Test
    void linearFallsFromOneToZero() {
        Schedule s = Schedule.linear(8);
        assertThat(s.at(0, 0)).isEqualTo(1);
        assertThat(s.at(2, 0)).isEqualTo(0.75);
        assertThat(s.at(8, 0)).isZero();
        assertThat(s.at(9, 0)).isZero();
    }

    @Test
    void stepsGoByEpochs() {
        Schedule s = Schedule.steps(40, 0.1);
        assertThat(s.at(0, 39)).isEqualTo(1);
        assertThat(s.at(0, 40)).isCloseTo(0.1, TINY);
        assertThat(s.at(0, 80)).isCloseTo(0.01, TINY);
    }

    @Test
    void warmupRisesToTheScheduleItself() {
        Schedule s = Schedule.constant(2).warmup(4);
        assertThat(s.at(0, 0)).isEqualTo(0.5);
        assertThat(s.at(3, 0)).isEqualTo(2);
        assertThat(s.at(30, 0)).isEqualTo(2);
    }

    @Test
    void thenStartsTheOtherFromItsBeginning() {
        Schedule s = Schedule.constant(1).then(10, Schedule.linear(4));
        assertThat(s.at(9, 0)).isEqualTo(1);
        assertThat(s.at(10, 0)).isEqualTo(1);
        assertThat(s.at(11, 0)).isEqualTo(0.75);
    }

    @Test
    void theyPrintAndCompare() {
        assertThat(Schedule.cosine(5))
                .isEqualTo(Schedule.cosine(5))
                .isNotEqualTo(Schedule.linear(5));
        assertThat(Schedule.cosine(5).warmup(2).then(7, Schedule.constant(0.1)))
                .hasToString("cosine(5).warmup(2).then(7, constant(0.1))");
    }

    @Test
    void badArgumentsAreRefused() {
        assertThatThrownBy(() -> Schedule.cosine(0)).isInstanceOf(LngdArgumentException.class);
        assertThatThrownBy(() -> Schedule.linear(-1)).hasMessageContaining("-1");
        assertThatThrownBy(() -> Schedule.steps(0, 0.1)).hasMessageContaining("everyEpochs");
        assertThatThrownBy(() -> Schedule.steps(1, Double.NaN)).hasMessageContaining("factor");
        assertThatThrownBy(() -> Schedule.constant(-1)).hasMessageContaining("value");
        assertThatThrownBy(() -> Schedule.constant(1).warmup(0))
                .hasMessageContaining("warmupSteps");
        assertThatThrownBy(() -> Schedule.constant(1).then(1, null)).hasMessageContaining("next");
    }

    @Test
    void endsWhereItIsZeroForGood() {
        Schedule fall = Schedule.cosine(10);
        assertThat(fall.end()).isEqualTo(10);
        assertThat(Schedule.linear(7).end()).isEqualTo(7);
        assertThat(fall.warmup(3).end()).isEqualTo(10);
        assertThat(fall.then(4, Schedule.linear(7)).end()).isEqualTo(11);
        for (Schedule endless :
                List.of(
                        Schedule.constant(1),
                        Schedule.steps(1, 0.5),
                        fall.then(4, Schedule.constant(1)),
                        (step, epoch) -> 0)) {
            assertThat(endless.end()).isEqualTo(Long.MAX_VALUE);
        }
        assertThat(fall.at(9, 0)).isPositive();
        assertThat(fall.at(fall.end(), 0)).isZero();
    }

    @Test
    void stretchedIsThatOfTheLongerRun() {
        assertThat(Schedule.cosine(100).stretched(100, 150)).isEqualTo(Schedule.cosine(150));
        assertThat(Schedule.linear(8).stretched(8, 12)).isEqualTo(Schedule.linear(12));
        assertThat(Schedule.constant(2).stretched(8, 12)).isEqualTo(Schedule.constant(2));
        assertThat(Schedule.steps(3, 0.5).stretched(8, 12)).isEqualTo(Schedule.steps(3, 0.5));
        assertThat(Schedule.cosine(100).warmup(5).stretched(100, 150))
                .isEqualTo(Schedule.cosine(150).warmup(5));
        // The flat three quarters stay three quarters, and the end is the new one: 112.5 rounds up.
        Schedule trapezoid = Schedule.constant(1).then(75, Schedule.linear(25));
        assertThat(trapezoid.stretched(100, 150))
                .isEqualTo(Schedule.constant(1).then(113, Schedule.linear(37)));
        for (long to : new long[] {101, 150, 333, 1000}) {
            assertThat(trapezoid.stretched(100, to).end()).isEqualTo(to);
        }
        assertThatThrownBy(() -> trapezoid.stretched(0, 5)).hasMessageContaining("from is 0");
        assertThatThrownBy(() -> Schedule.cosine(3).stretched(3, 0))
                .hasMessageContaining("to is 0");
    }

    @Test
    void aFunctionOfTheUsersIsStretchedWithStraightLines() {
        Schedule squares = (step, epoch) -> (double) step * step;
        Schedule s = squares.stretched(10, 20);
        assertThat(s.at(6, 0)).isEqualTo(9);
        assertThat(s.at(7, 0)).isEqualTo(12.5); // between 3 * 3 and 4 * 4
        assertThat(s.end()).isEqualTo(Long.MAX_VALUE);
        assertThat(s.stretched(20, 40)).isEqualTo(squares.stretched(10, 40));
    }
}
