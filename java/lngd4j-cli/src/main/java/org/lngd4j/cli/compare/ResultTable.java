// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import org.lngd4j.cli.compare.Target.Measure;
import org.lngd4j.cli.support.PaddedTable;
import org.lngd4j.cli.train.MetricsRow;
import org.lngd4j.cli.train.OptimizerKind;
import org.lngd4j.cli.train.Quality;

/**
 * The paper's table: epochs and training time to the target, time of an epoch, acceleration against
 * SGD, best result, each with its spread over the seeds.
 */
final class ResultTable {
    private final List<ContenderResult> results;
    private final Target target;
    private final Quality quality;
    private final Optional<String> engine;

    /**
     * @param target null where no level was reached by all
     * @param quality what was measured beside the loss
     * @param engine what computed the networks, where it is not DL4J
     */
    ResultTable(
            List<ContenderResult> results,
            Target target,
            Quality quality,
            Optional<String> engine) {
        this.engine = engine;
        this.results = results;
        this.target = target;
        this.quality = quality;
    }

    List<String> titles() {
        List<String> titles = new ArrayList<>();
        titles.add("optimizer" + engine.map(name -> " (" + name + ")").orElse(""));
        titles.add("settings");
        if (target != null) {
            titles.addAll(List.of("epochs to target", "seconds to target", "against sgd"));
        }
        titles.addAll(List.of("seconds an epoch", "of sgd's epoch"));
        titles.addAll(
                switch (quality) {
                    case ACCURACY ->
                            List.of("best accuracy %", "final accuracy %", "final test loss");
                    case BLEU -> List.of("best BLEU", "final BLEU", "final test loss");
                    case NONE -> List.of("best test loss", "final test loss", "final train loss");
                });
        return titles;
    }

    /** What the columns mean and the signs in them, in the order of the titles. */
    Map<String, String> explanations() {
        Map<String, String> words = new LinkedHashMap<>();
        words.put(
                "settings",
                "What the tuning found, or the defaults; /sqrt(steps): divided by the square root of"
                        + " the number of steps; all others are the optimizer's defaults.");
        if (target != null) {
            words.put(
                    "epochs to target, seconds to target",
                    "At the first evaluation of a run that reached "
                            + target
                            + ", so no finer than the evaluations are. A dash with a count: so many of"
                            + " the seeds reached it, which gives no mean.");
            words.put(
                    "against sgd",
                    "Seconds to target of the first row with SGD over those of this row: 2.00x is"
                            + " twice as fast. A dash where there is no such row, or no mean.");
        }
        words.put(
                "seconds an epoch, of sgd's epoch",
                "Seconds of training over epochs, without evaluations and checkpoints; and their ratio"
                        + " to those of the first row with SGD: 2.00x takes twice as long.");
        words.put(
                quality == Quality.NONE ? "best test loss" : titles().get(titles().size() - 3),
                "Of the best evaluation of each run. It is chosen on the test set and by that a little"
                        + " too good.");
        words.put(
                quality == Quality.NONE
                        ? "final test loss, final train loss"
                        : titles().get(titles().size() - 2) + ", final test loss",
                "At the end of each run"
                        + (quality == Quality.NONE
                                ? "; the training loss is the mean of the batches since the evaluation"
                                        + " before."
                                : ". Losses are in nats."));
        words.put(
                "a ± b",
                "Mean over the seeds and standard deviation of one run (of the sample: n - 1), not the"
                        + " error of the mean; 0 where there is one seed. Diverged runs are left out.");
        return words;
    }

    /** A line for each contender, as many cells as there are titles. */
    List<List<String>> lines() {
        return results.stream().map(this::line).toList();
    }

    private List<String> line(ContenderResult result) {
        List<String> cells = new ArrayList<>();
        cells.add(result.contender().name());
        cells.add(RunFactory.describe(result.contender(), result.point()));
        if (target != null) {
            cells.add(toTarget(result));
            cells.add(result.toTarget(target, MetricsRow::seconds).text(2, 1));
            cells.add(acceleration(result));
        }
        cells.add(result.secondsPerEpoch().text(2, 1));
        cells.add(ratio(result.secondsPerEpoch().mean(), ofSgd(r -> r.secondsPerEpoch().mean())));
        switch (quality) {
            case ACCURACY -> {
                cells.add(result.best(Measure.ACC).text(2, 100));
                cells.add(result.last(MetricsRow::testAccuracy).text(2, 100));
                cells.add(result.last(MetricsRow::testLoss).text(3, 1));
            }
            case BLEU -> {
                cells.add(result.best(Measure.BLEU).text(2, 1));
                cells.add(result.last(MetricsRow::testBleu).text(2, 1));
                cells.add(result.last(MetricsRow::testLoss).text(3, 1));
            }
            case NONE -> {
                cells.add(result.best(Measure.LOSS).text(2, 1));
                cells.add(result.last(MetricsRow::testLoss).text(2, 1));
                cells.add(result.last(MetricsRow::trainLoss).text(2, 1));
            }
        }
        return cells;
    }

    // Where not every seed reached the target there is no mean, but how many did is worth knowing.
    private String toTarget(ContenderResult result) {
        Spread epochs = result.toTarget(target, MetricsRow::epoch);
        if (epochs.exists()) {
            return epochs.text(2, 1);
        }
        long diverged = result.runs().stream().filter(RunStore.Done::diverged).count();
        return "- ("
                + result.firsts(target).size()
                + " of "
                + result.runs().size()
                + (diverged > 0 ? ", " + diverged + " diverged" : "")
                + ")";
    }

    private String acceleration(ContenderResult result) {
        return ratio(
                ofSgd(r -> r.toTarget(target, MetricsRow::seconds).mean()),
                result.toTarget(target, MetricsRow::seconds).mean());
    }

    private double ofSgd(ToDoubleFunction<ContenderResult> value) {
        return results.stream()
                .filter(r -> r.contender().kind() == OptimizerKind.SGD)
                .mapToDouble(value)
                .findFirst()
                .orElse(Double.NaN);
    }

    private static String ratio(double a, double b) {
        double ratio = a / b;
        return Double.isNaN(ratio) ? "-" : String.format(Locale.ROOT, "%.2fx", ratio);
    }

    /** For a terminal, with a line feed after each line. */
    String text() {
        List<List<String>> all = new ArrayList<>(List.of(titles()));
        all.addAll(lines());
        return PaddedTable.text(2, all);
    }

    String markdown() {
        StringBuilder text = new StringBuilder();
        markdownLine(text, titles());
        markdownLine(text, titles().stream().map(title -> "---").toList());
        lines().forEach(line -> markdownLine(text, line));
        return text.toString();
    }

    private static void markdownLine(StringBuilder text, List<String> cells) {
        text.append("| ").append(String.join(" | ", cells)).append(" |\n");
    }
}
