// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class EvaluationPlanTest {
    @Test
    void halfEpochsAreRoundedToSteps() {
        assertThat(due(new EvaluationPlan(235, 2, 0.5))).containsExactly(118L, 235L, 353L, 470L);
    }

    @Test
    void theLastStepIsAlwaysEvaluated() {
        assertThat(due(new EvaluationPlan(10, 1, 0.4))).containsExactly(4L, 8L, 10L);
        assertThat(due(new EvaluationPlan(10, 2, 99))).containsExactly(20L);
    }

    @Test
    void neverMoreOftenThanEveryStep() {
        assertThat(due(new EvaluationPlan(3, 1, 1e-9))).containsExactly(1L, 2L, 3L);
    }

    private static List<Long> due(EvaluationPlan plan) {
        return LongStream.rangeClosed(1, plan.totalSteps()).filter(plan::isDue).boxed().toList();
    }
}
