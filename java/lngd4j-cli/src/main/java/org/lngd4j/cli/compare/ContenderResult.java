// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.lngd4j.cli.compare.RunStore.Done;
import org.lngd4j.cli.train.MetricsRow;

/**
 * What came out for one contender.
 *
 * @param contender who
 * @param point the settings of the whole runs, as indices into the grids
 * @param trials what the tuning tried, with scores; empty where nothing was tuned
 * @param tuning what those trials were measured under
 * @param runs one for each seed
 */
record ContenderResult(
        Contender contender,
        List<Integer> point,
        Map<List<Integer>, Double> trials,
        List<Measured> tuning,
        List<Done> runs) {
    /** The runs that went to their end. */
    List<Done> complete() {
        return runs.stream().filter(run -> !run.diverged()).toList();
    }

    /** The best evaluation of each complete run, in a measure. */
    Spread best(Target.Measure measure) {
        return Spread.of(
                complete().stream()
                        .map(
                                run ->
                                        run.rows().stream()
                                                .reduce(
                                                        (a, b) ->
                                                                measure.score(b) > measure.score(a)
                                                                        ? b
                                                                        : a)
                                                .orElseThrow())
                        .mapToDouble(measure::of)
                        .toArray());
    }

    /** The last evaluation of each complete run. */
    Spread last(ToDoubleFunction<MetricsRow> value) {
        return Spread.of(complete().stream().map(Done::last).mapToDouble(value).toArray());
    }

    /** Training seconds of an epoch. */
    Spread secondsPerEpoch() {
        return last(row -> row.seconds() / row.epoch());
    }

    /** The evaluations that first reached the target, one for each run that did. */
    List<MetricsRow> firsts(Target target) {
        return complete().stream().flatMap(run -> target.firstIn(run.rows()).stream()).toList();
    }

    /** Something of those evaluations; NaN unless every run reached the target. */
    Spread toTarget(Target target, ToDoubleFunction<MetricsRow> value) {
        List<MetricsRow> firsts = firsts(target);
        return firsts.size() == runs.size()
                ? Spread.of(firsts.stream().mapToDouble(value).toArray())
                : Spread.NONE;
    }
}
