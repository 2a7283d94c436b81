// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.lngd4j.cli.compare.RunStore.Done;
import org.lngd4j.cli.compare.Target.Measure;

/**
 * Tunes every contender, then runs it with every seed; runs that are in the store are not run
 * again.
 */
final class Comparison {
    private final CompareSettings settings;
    private final RunFactory runs;
    private final RunStore store;
    private final RunProcess process;
    private final CompareProgress progress;
    private final Measure measure;
    private final TunedFile tuned;

    /**
     * @param measure what tuning looks at
     * @param tuned settings found before, or null
     */
    Comparison(
            CompareSettings settings,
            RunFactory runs,
            RunStore store,
            RunProcess process,
            CompareProgress progress,
            Measure measure,
            TunedFile tuned) {
        this.settings = settings;
        this.runs = runs;
        this.store = store;
        this.process = process;
        this.progress = progress;
        this.measure = measure;
        this.tuned = tuned;
    }

    /** Steps of all runs together: the length of the progress bar. */
    static long totalSteps(CompareSettings settings, RunFactory runs) {
        long tuning = settings.tuning().trials() * runs.tuningSteps();
        return settings.contenders().size() * (tuning + settings.seeds() * runs.wholeSteps());
    }

    /** Does all of it; empty where it was stopped. */
    Optional<List<ContenderResult>> execute() {
        Map<Contender, GridSearch> searches = new LinkedHashMap<>();
        for (Contender contender : settings.contenders()) {
            Optional<GridSearch> search = tune(contender);
            if (search.isEmpty()) {
                return Optional.empty();
            }
            searches.put(contender, search.get());
        }
        Map<Contender, List<Done>> done = new LinkedHashMap<>();
        // Seed by seed and not contender by contender: a machine that slows down over the hours
        // then
        // slows all alike.
        for (int seed = 1; seed <= settings.seeds(); seed++) {
            for (Contender contender : settings.contenders()) {
                PlannedRun run = runs.wholeRun(contender, point(contender, searches), seed);
                Optional<Done> result = result(run, runs.wholeSteps());
                if (result.isEmpty()) {
                    return Optional.empty();
                }
                done.computeIfAbsent(contender, c -> new ArrayList<>()).add(result.get());
            }
        }
        return Optional.of(
                settings.contenders().stream()
                        .map(
                                c ->
                                        new ContenderResult(
                                                c,
                                                point(c, searches),
                                                searches.get(c).scores(),
                                                done.get(c)))
                        .toList());
    }

    private List<Integer> point(Contender contender, Map<Contender, GridSearch> searches) {
        return tuned == null ? searches.get(contender).best() : tuned.point(contender);
    }

    private Optional<GridSearch> tune(Contender contender) {
        int trials = settings.tuning().trials();
        int possible =
                contender.kind().axes().stream()
                        .mapToInt(axis -> axis.grid().size())
                        .reduce(1, (a, b) -> a * b);
        GridSearch search = new GridSearch(contender.kind().axes(), Math.min(trials, possible));
        for (Optional<List<Integer>> next = search.next(); next.isPresent(); next = search.next()) {
            List<Integer> point = next.get();
            Optional<Done> result = result(runs.tuningRun(contender, point), runs.tuningSteps());
            if (result.isEmpty()) {
                return Optional.empty();
            }
            search.report(point, score(result.get()));
        }
        return Optional.of(search);
    }

    // Where two accuracies are the same (a validation set has few images) the loss decides.
    private double score(Done run) {
        if (run.diverged()) {
            return Double.NEGATIVE_INFINITY;
        }
        double tie = measure == Measure.ACC ? -1e-6 * run.last().testLoss() : 0;
        return measure.score(run.last()) + tie;
    }

    private Optional<Done> result(PlannedRun run, long steps) {
        Optional<Done> before = store.find(run);
        if (before.isPresent()) {
            progress.found(run, before.get(), steps);
            return before;
        }
        progress.begin(run);
        boolean ended = process.execute(run, progress::step);
        if (!ended) {
            return Optional.empty();
        }
        Optional<Done> result = store.find(run);
        progress.end(run, result.orElseThrow(), steps);
        return result;
    }
}
