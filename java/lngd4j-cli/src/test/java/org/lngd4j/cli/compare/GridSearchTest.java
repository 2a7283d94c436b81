// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.lngd4j.cli.train.TuningAxis;
import org.lngd4j.cli.train.TuningAxis.Unit;

class GridSearchTest {
    private static final TuningAxis RATE =
            new TuningAxis("rate", Unit.PLAIN, List.of(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0), 3);
    private static final TuningAxis DAMPING =
            new TuningAxis("damping", Unit.PLAIN, List.of(1.0, 2.0, 3.0), 2);

    @Test
    void climbsToTheTop() {
        GridSearch search = run(List.of(RATE), 6, point -> -Math.abs(point.get(0) - 5));

        assertThat(search.best()).containsExactly(5);
        // The default, both neighbours, then always up.
        assertThat(search.scores().keySet())
                .containsExactly(
                        List.of(2), List.of(1), List.of(3), List.of(4), List.of(5), List.of(6));
    }

    @Test
    void triesOneSettingAtATimeTheFirstBefore() {
        GridSearch search = run(List.of(RATE, DAMPING), 6, point -> 0);

        assertThat(search.best()).containsExactly(2, 1);
        assertThat(search.scores().keySet().stream().limit(5))
                .containsExactly(
                        List.of(2, 1), List.of(1, 1), List.of(3, 1), List.of(2, 0), List.of(2, 2));
    }

    @Test
    void everyTrialIsAnotherPointAndAllAreUsed() {
        for (int trials = 1; trials <= 21; trials++) {
            GridSearch search =
                    run(List.of(RATE, DAMPING), trials, point -> Math.sin(point.hashCode()));
            assertThat(search.scores()).hasSize(trials);
        }
    }

    @Test
    void aFailedRunIsNeverTheBestUnlessAllFailed() {
        ToDoubleFunction<List<Integer>> high =
                point -> point.get(0) >= 2 ? Double.NEGATIVE_INFINITY : -point.get(0);
        assertThat(run(List.of(RATE), 4, high).best()).containsExactly(0);
        assertThat(run(List.of(RATE), 3, point -> Double.NEGATIVE_INFINITY).best())
                .containsExactly(2);
    }

    private static GridSearch run(
            List<TuningAxis> axes, int trials, ToDoubleFunction<List<Integer>> score) {
        GridSearch search = new GridSearch(axes, trials);
        while (search.next().isPresent()) {
            List<Integer> point = search.next().get();
            search.report(point, score.applyAsDouble(point));
        }
        return search;
    }
}
