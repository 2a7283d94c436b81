// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
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
        List<Contender> contenders = settings.contenders();
        // A search needs its last result for its next point, so only searches run side by side.
        List<Callable<Optional<Tuned>>> tunings = new ArrayList<>();
        contenders.forEach(contender -> tunings.add(() -> tune(contender)));
        Optional<List<Tuned>> found = Jobs.run(settings.tuning().jobs(), tunings);
        if (found.isEmpty()) {
            return Optional.empty();
        }
        Map<Contender, Tuned> searches = new LinkedHashMap<>();
        for (int i = 0; i < contenders.size(); i++) {
            searches.put(contenders.get(i), found.get().get(i));
        }
        // Seed by seed and not contender by contender: a machine that slows down over the hours
        // then slows all alike.
        List<Callable<Optional<Done>>> whole = new ArrayList<>();
        for (int seed = 1; seed <= settings.seeds(); seed++) {
            for (Contender contender : contenders) {
                PlannedRun run = runs.wholeRun(contender, point(contender, searches), seed);
                whole.add(() -> result(run, runs.wholeSteps(), settings.jobs()));
            }
        }
        return Jobs.run(settings.jobs(), whole).map(done -> results(searches, done));
    }

    // In the order of the runs: every contender with the first seed, then with the second.
    private List<ContenderResult> results(Map<Contender, Tuned> searches, List<Done> done) {
        int count = settings.contenders().size();
        List<ContenderResult> results = new ArrayList<>();
        for (Contender contender : settings.contenders()) {
            List<Done> own = new ArrayList<>();
            for (int run = results.size(); run < done.size(); run += count) {
                own.add(done.get(run));
            }
            results.add(
                    new ContenderResult(
                            contender,
                            point(contender, searches),
                            searches.get(contender).search().scores(),
                            searches.get(contender).measured(),
                            own));
        }
        return results;
    }

    private List<Integer> point(Contender contender, Map<Contender, Tuned> searches) {
        return tuned == null ? searches.get(contender).search().best() : tuned.point(contender);
    }

    /** A search that has ended, and what its runs were measured under. */
    private record Tuned(GridSearch search, List<Measured> measured) {}

    private Optional<Tuned> tune(Contender contender) {
        int trials = settings.tuning().trials();
        int possible =
                contender.axes().stream()
                        .mapToInt(axis -> axis.grid().size())
                        .reduce(1, (a, b) -> a * b);
        GridSearch search = new GridSearch(contender.axes(), Math.min(trials, possible));
        List<Measured> measured = new ArrayList<>();
        for (Optional<List<Integer>> next = search.next(); next.isPresent(); next = search.next()) {
            List<Integer> point = next.get();
            Optional<Done> result =
                    result(
                            runs.tuningRun(contender, point),
                            runs.tuningSteps(),
                            settings.tuning().jobs());
            if (result.isEmpty()) {
                return Optional.empty();
            }
            search.report(point, score(result.get()));
            measured.add(result.get().measured());
        }
        return Optional.of(new Tuned(search, measured));
    }

    // BLEU of what has hardly learned to translate is noise: it preferred a third of the best rate.
    private Measure tuningMeasure() {
        return measure == Measure.BLEU ? Measure.LOSS : measure;
    }

    // Where two accuracies are the same (a validation set has few images) the loss decides.
    private double score(Done run) {
        if (run.diverged()) {
            return Double.NEGATIVE_INFINITY;
        }
        double tie = measure == Measure.ACC ? -1e-6 * run.last().testLoss() : 0;
        return tuningMeasure().score(run.last()) + tie;
    }

    private Optional<Done> result(PlannedRun run, long steps, int atATime) {
        Measured now = Measured.now(settings, atATime);
        Optional<Done> before = store.find(run);
        if (before.isPresent()) {
            progress.found(run, before.get(), now, steps);
            return before;
        }
        store.begin(run, now);
        progress.begin(run);
        boolean ended = process.execute(run, step -> progress.step(run, step));
        if (!ended) {
            return Optional.empty();
        }
        Optional<Done> result = store.find(run);
        progress.end(run, result.orElseThrow(), steps);
        return result;
    }
}
