// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.List;
import java.util.function.ToDoubleFunction;
import org.lngd4j.cli.compare.Spread;

/**
 * What an optimizer gave on a problem.
 *
 * @param problem that was trained
 * @param entrant that trained it
 * @param runs one for each seed, at least one
 */
record Outcome(Problem problem, Entrant entrant, List<ToyRun.Result> runs) {
    Outcome {
        runs = List.copyOf(runs);
    }

    /** Of the least test losses. */
    Spread best() {
        return spread(ToyRun.Result::bestLoss);
    }

    /** Of the test losses at the end. */
    Spread last() {
        return spread(ToyRun.Result::finalLoss);
    }

    /** Of the accuracies at the end; none where there are no classes. */
    Spread accuracy() {
        return spread(ToyRun.Result::finalAccuracy);
    }

    /** Of the training times. */
    Spread seconds() {
        return spread(ToyRun.Result::seconds);
    }

    /** How many runs diverged. */
    long diverged() {
        return runs.stream().filter(ToyRun.Result::diverged).count();
    }

    private Spread spread(ToDoubleFunction<ToyRun.Result> value) {
        return Spread.of(runs.stream().mapToDouble(value).toArray());
    }
}
