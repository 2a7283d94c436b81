// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

/**
 * After which steps a run is evaluated: every so many epochs, rounded to whole steps, and after the
 * last step.
 */
public final class EvaluationPlan {
    private final long totalSteps;
    private final double interval;

    /**
     * A plan for a whole run.
     *
     * @param stepsPerEpoch at least 1
     * @param epochs at least 1
     * @param everyEpochs epochs between evaluations, above 0; less than a step means every step
     */
    public EvaluationPlan(int stepsPerEpoch, int epochs, double everyEpochs) {
        this.totalSteps = (long) stepsPerEpoch * epochs;
        this.interval = Math.max(1, everyEpochs * stepsPerEpoch);
    }

    /** The steps of the whole run. */
    public long totalSteps() {
        return totalSteps;
    }

    /** Whether an evaluation follows the given step, counted from 1. */
    public boolean isDue(long step) {
        if (step == totalSteps) {
            return true;
        }
        long count = Math.round(step / interval);
        return count >= 1 && Math.round(count * interval) == step;
    }
}
