// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.lngd4j.cli.support.Versions;

/** What a finished run tells: {@code summary.json} and the table on standard output. */
final class Summary {
    private static final List<String> KERNELS =
            List.of("statistics", "inverse", "precondition", "rate", "update");

    private final TrainSettings settings;
    private final String network;
    private final TrainingMethod method;
    private final List<MetricsRow> rows;
    private final TrainLoop.Spent spent;

    Summary(Job job, List<MetricsRow> rows, TrainLoop.Spent spent) {
        this.settings = job.settings();
        this.network = job.task().spec().toString();
        this.method = job.method();
        this.rows = rows;
        this.spent = spent;
    }

    Map<String, Object> toMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("network", network);
        map.put("method", method.describe());
        map.put("settings", method.details());
        map.put("device", method.device());
        map.put("convolutions", Versions.convolutions());
        map.put("averagedWeights", method.averages());
        map.put("options", settings.toMap());
        map.put("final", figures(last()));
        map.put("best", figures(best()));
        map.put("seconds", seconds());
        map.put("versions", Versions.all());
        map.put("gitCommit", Versions.gitCommit());
        return map;
    }

    /**
     * Seconds of this process. For Adam and SGD, DL4J does not tell its update apart from forward
     * and backward: those entries are null, and forward-backward holds all of it.
     */
    private Map<String, Object> seconds() {
        Map<String, Double> kernels = method.kernelSeconds();
        double inKernels = kernels.values().stream().mapToDouble(x -> x).sum();
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("steps", spent.steps());
        map.put("training", spent.training() / 1e9);
        KERNELS.forEach(name -> map.put(name, kernels.get(name)));
        map.put("forwardBackward", (spent.training() - spent.batches()) / 1e9 - inKernels);
        map.put("batches", spent.batches() / 1e9);
        map.put("evaluation", spent.evaluation() / 1e9);
        return map;
    }

    static Map<String, Object> figures(MetricsRow row) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("step", row.step());
        map.put("epoch", row.epoch());
        map.put("seconds", row.seconds());
        map.put("trainLoss", row.trainLoss());
        map.put("testLoss", row.testLoss());
        map.put("testAccuracy", row.quality() == Quality.ACCURACY ? row.testAccuracy() : null);
        if (row.quality() == Quality.BLEU) {
            map.put("testBleu", row.testBleu());
        }
        return map;
    }

    /** The table, with a line feed after each line. */
    String table() {
        StringBuilder text = new StringBuilder();
        text.append(network).append(", ").append(method.describe()).append('\n');
        text.append(
                String.format(
                        "%8s %8s %10s %11s %10s %9s%n",
                        "epoch",
                        "step",
                        "seconds",
                        "train loss",
                        "test loss",
                        last().quality() == Quality.BLEU ? "BLEU" : "accuracy"));
        for (MetricsRow row : rows) {
            text.append(
                    String.format(
                            Locale.ROOT,
                            "%8.2f %8d %10.2f %11.4f %10.4f %9s%n",
                            row.epoch(),
                            row.step(),
                            row.seconds(),
                            row.trainLoss(),
                            row.testLoss(),
                            row.qualityText().replace(" ", "")));
        }
        MetricsRow best = best();
        String what =
                best.quality() == Quality.NONE
                        ? String.format(Locale.ROOT, "test loss %.4f", best.testLoss())
                        : best.quality().words() + " " + best.qualityText();
        text.append(String.format(Locale.ROOT, "best %s at epoch %.2f%n", what, best.epoch()));
        return text.toString();
    }

    private MetricsRow last() {
        return rows.get(rows.size() - 1);
    }

    private MetricsRow best() {
        return rows.stream().reduce((a, b) -> b.isBetterThan(a) ? b : a).orElseThrow();
    }
}
