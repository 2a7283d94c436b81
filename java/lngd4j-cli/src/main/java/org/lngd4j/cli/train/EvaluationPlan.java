// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

/**
 * After which steps a run is evaluated: every so many epochs, rounded to whole steps, and after the
 * last step.
 */
final class EvaluationPlan {
    private final long totalSteps;
    private final double interval;

    /**
     * @param stepsPerEpoch at least 1
     * @param epochs at least 1
     * @param everyEpochs epochs between evaluations, above 0; less than a step means every step
     */
    EvaluationPlan(int stepsPerEpoch, int epochs, double everyEpochs) {
        this.totalSteps = (long) stepsPerEpoch * epochs;
        this.interval = Math.max(1, everyEpochs * stepsPerEpoch);
    }

    long totalSteps() {
        return totalSteps;
    }

    /** Whether an evaluation follows the given step, counted from 1. */
    boolean isDue(long step) {
        if (step == totalSteps) {
            return true;
        }
        long count = Math.round(step / interval);
        return count >= 1 && Math.round(count * interval) == step;
    }
}
