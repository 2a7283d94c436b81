// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * A number as a function of the time in a run. The ready-made ones have a readable {@code toString}
 * and are equal where their arguments are; a lambda serves as well. Implementations used from
 * several threads must be free of state.
 */
@FunctionalInterface
public interface Schedule {
    /**
     * The value at a moment.
     *
     * @param step steps done so far, from 0
     * @param epoch whole epochs done so far, from 0
     * @return the value; finite and at least 0 where it multiplies a learning rate
     */
    double at(long step, int epoch);

    /**
     * Where it has ended: the first step from which on the value is 0 for good. A training whose
     * schedule has ended moves nothing any more.
     *
     * @return the step; {@link Long#MAX_VALUE} where there is none, or it is not known, as with a
     *     lambda
     */
    default long end() {
        return Long.MAX_VALUE;
    }

    /**
     * The same number always.
     *
     * @param value the number, finite and at least 0
     * @return the schedule
     */
    static Schedule constant(double value) {
        return new Schedules.Constant(Check.notNegative("value", value));
    }

    /**
     * Half a cosine from 1 at step 0 to 0 at {@code totalSteps}, and 0 after it.
     *
     * @param totalSteps length of the fall in steps, at least 1
     * @return the schedule
     */
    static Schedule cosine(long totalSteps) {
        return new Schedules.Cosine(Check.atLeast("totalSteps", totalSteps, 1L));
    }

    /**
     * A straight line from 1 at step 0 to 0 at {@code totalSteps}, and 0 after it.
     *
     * @param totalSteps length of the fall in steps, at least 1
     * @return the schedule
     */
    static Schedule linear(long totalSteps) {
        return new Schedules.Linear(Check.atLeast("totalSteps", totalSteps, 1L));
    }

    /**
     * Stairs: factor^k after k times {@code everyEpochs} epochs.
     *
     * @param everyEpochs length of a stair in epochs, at least 1
     * @param factor ratio of one stair to the one before, above 0
     * @return the schedule
     */
    static Schedule steps(int everyEpochs, double factor) {
        return new Schedules.Steps(
                Check.atLeast("everyEpochs", everyEpochs, 1), Check.positive("factor", factor));
    }

    /**
     * This schedule, multiplied by a ramp that reaches 1 after {@code warmupSteps} steps: (step +
     * 1) / warmupSteps.
     *
     * @param warmupSteps length of the ramp in steps, at least 1
     * @return the product
     */
    default Schedule warmup(long warmupSteps) {
        return new Schedules.Warmup(this, Check.atLeast("warmupSteps", warmupSteps, 1L));
    }

    /**
     * This schedule up to a step, another one from there on. The other one counts its steps from
     * the change; epochs are passed on as they are.
     *
     * @param atStep first step of the other schedule, at least 0
     * @param next the other schedule
     * @return the two in a row
     */
    default Schedule then(long atStep, Schedule next) {
        return new Schedules.Then(
                this, Check.atLeast("atStep", atStep, 0L), Check.notNull("next", next));
    }

    /**
     * This schedule for a run of another length: what it has at the step t it has at t to / from.
     * Falls, stairs of {@link #then} and functions of your own (between two steps a straight line)
     * are stretched. A warm-up keeps its length, and what goes by epochs stays as it is.
     *
     * @param from length of the run that it was made for in steps, at least 1
     * @param to length of the other one in steps, at least 1
     * @return the stretched schedule; this one where nothing changes
     */
    default Schedule stretched(long from, long to) {
        return new Schedules.Stretched(
                this, Check.atLeast("from", from, 1L), Check.atLeast("to", to, 1L));
    }
}
