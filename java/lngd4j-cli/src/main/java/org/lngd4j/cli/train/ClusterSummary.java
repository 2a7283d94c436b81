// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.lngd4j.cli.support.Versions;

/** What a finished run of several ranks tells: {@code summary.json}, and standard output. */
final class ClusterSummary {
    private final Method method;
    private final List<MetricsRow> rows;
    private final ClusterTraining.Result result;

    /**
     * What was trained, and how.
     *
     * @param network its sizes
     * @param line one about the method
     * @param details every setting of the method
     * @param averages whether averaged weights were delivered
     */
    record Method(String network, String line, Map<String, Object> details, boolean averages) {}

    ClusterSummary(Method method, List<MetricsRow> rows, ClusterTraining.Result result) {
        this.method = method;
        this.rows = rows;
        this.result = result;
    }

    Map<String, Object> toMap(Map<String, Object> options, Map<String, Object> cluster) {
        options.putAll(cluster);
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("network", method.network());
        map.put("method", method.line());
        map.put("settings", method.details());
        map.put("device", "cpu");
        map.put("averagedWeights", method.averages());
        map.put("options", options);
        map.put("final", Summary.figures(last()));
        map.put("cluster", result.engine());
        map.put("ranks", result.ranks().stream().map(ClusterSummary::figures).toList());
        map.put("versions", Versions.all());
        map.put("gitCommit", Versions.gitCommit());
        return map;
    }

    private static Map<String, Object> figures(ClusterTraining.Rank rank) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("rank", rank.rank());
        map.put("host", rank.host());
        map.put("samples", rank.samples());
        map.put("steps", rank.steps());
        map.put("seconds", rank.seconds());
        map.put("waiting", rank.waiting());
        map.put("megabytes", rank.megabytes());
        map.put("statistics", rank.statistics());
        map.put("inverses", rank.inverses());
        map.put("update", rank.update());
        return map;
    }

    /** Epochs, then ranks, with a line feed after each line. */
    String table() {
        StringBuilder text = new StringBuilder();
        text.append(method.network()).append(", ").append(method.line()).append('\n');
        text.append(String.format("%8s %8s %10s %11s%n", "epoch", "step", "seconds", "train loss"));
        for (MetricsRow row : rows) {
            text.append(
                    String.format(
                            Locale.ROOT,
                            "%8.2f %8d %10.2f %11.4f%n",
                            row.epoch(),
                            row.step(),
                            row.seconds(),
                            row.trainLoss()));
        }
        text.append(String.format(Locale.ROOT, "test loss %.4f", last().testLoss()));
        if (last().quality() == Quality.ACCURACY) {
            text.append(", accuracy ").append(last().qualityText());
        }
        text.append('\n');
        text.append(
                String.format(
                        "%4s  %-21s %8s %9s %9s %11s %9s %8s %8s%n",
                        "rank",
                        "host",
                        "samples",
                        "seconds",
                        "waiting",
                        "statistics",
                        "inverses",
                        "update",
                        "MB"));
        for (ClusterTraining.Rank rank : result.ranks()) {
            text.append(
                    String.format(
                            Locale.ROOT,
                            "%4d  %-21s %8d %9.2f %9.2f %11.3f %9.3f %8.2f %8.1f%n",
                            rank.rank(),
                            rank.host(),
                            rank.samples(),
                            rank.seconds(),
                            rank.waiting(),
                            rank.statistics(),
                            rank.inverses(),
                            rank.update(),
                            rank.megabytes()));
        }
        return text.toString();
    }

    private MetricsRow last() {
        return rows.get(rows.size() - 1);
    }
}
