// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.io.PrintStream;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import me.tongfei.progressbar.ProgressBar;
import org.lngd4j.cli.compare.RunStore.Done;
import org.lngd4j.cli.support.Bars;
import org.lngd4j.cli.train.Quality;

/**
 * How far the whole comparison is: a bar on a terminal, elsewhere a line for each run that ends.
 * Runs are counted in steps, so the bar moves inside a run too; runs found in the store leave the
 * estimate of the time alone. Runs may go side by side: safe for use by many threads.
 */
final class CompareProgress implements AutoCloseable {
    private final PrintStream out;
    private final ProgressBar bar;
    private final long totalSteps;
    private final long startNanos = System.nanoTime();
    private long stepsFound;
    private long stepsDone;
    private final Map<PlannedRun, Long> going = new HashMap<>();

    /**
     * @param out where lines go
     * @param interactive whether there is a terminal for a bar
     */
    CompareProgress(PrintStream out, boolean interactive, long totalSteps) {
        this.out = out;
        this.totalSteps = totalSteps;
        this.bar = interactive ? Bars.on("comparing", totalSteps).build() : null;
    }

    synchronized void begin(PlannedRun run) {
        going.put(run, 0L);
        if (bar != null) {
            bar.setExtraMessage(" " + run.label());
        }
    }

    /** Steps of a run that goes on. */
    synchronized void step(PlannedRun run, long step) {
        going.put(run, step);
        if (bar != null) {
            bar.stepTo(steps());
        }
    }

    /** A run of the store, and what one would be measured under now. */
    synchronized void found(PlannedRun run, Done result, Measured now, long steps) {
        stepsFound += steps;
        List<String> others = result.measured().differencesFrom(now);
        tell(
                run,
                result,
                " (from before" + (others.isEmpty() ? "" : ": " + String.join("; ", others)) + ")");
    }

    synchronized void end(PlannedRun run, Done result, long steps) {
        going.remove(run);
        stepsDone += steps;
        tell(run, result, "");
    }

    private void tell(PlannedRun run, Done result, String remark) {
        if (bar != null) {
            bar.stepTo(steps());
            return;
        }
        out.printf(
                Locale.ROOT,
                "%3d %%  %s: %s%s%s%n",
                100 * (stepsFound + stepsDone) / Math.max(1, totalSteps),
                run.label(),
                outcome(result),
                remark,
                left());
    }

    private long steps() {
        return stepsFound + stepsDone + going.values().stream().mapToLong(Long::longValue).sum();
    }

    private static String outcome(Done result) {
        if (result.diverged()) {
            return "diverged";
        }
        Quality quality = result.last().quality();
        String accuracy =
                quality == Quality.NONE
                        ? ""
                        : quality.words() + " " + result.last().qualityText() + ", ";
        return String.format(
                Locale.ROOT,
                "%sloss %.4f in %.1f s",
                accuracy,
                result.last().testLoss(),
                result.last().seconds());
    }

    private String left() {
        if (stepsDone == 0) {
            return "";
        }
        double perStep = (System.nanoTime() - startNanos) / 1e9 / stepsDone;
        Duration left =
                Duration.ofSeconds(Math.round(perStep * (totalSteps - stepsFound - stepsDone)));
        return String.format(Locale.ROOT, ", %d:%02d left", left.toMinutes(), left.toSecondsPart());
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
        out.flush();
    }
}
