// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.bench;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.DoubleSummaryStatistics;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.lngd4j.cli.bench.BenchResults.Case;
import org.lngd4j.cli.bench.BenchResults.Peer;
import org.lngd4j.cli.bench.BenchResults.Row;

/** The rows in a few figures: against each peer, and several threads against one. */
final class BenchSummary {
    /**
     * Rows that take longer than this on one thread count for the speed-up: what takes microseconds
     * is not worth waking a second thread.
     */
    static final double SPEED_UP_FROM_US = 1000;

    /** A speed-up below this share of the threads, 1.7 on two, is counted as a bad one. */
    static final double SHARE_OF_THREADS = 0.85;

    private BenchSummary() {}

    /** Rows of one kernel that are summed up in one line. */
    record Group(String kernel, String peer, boolean part, String preset, int threads) {}

    /** Our times over a peer's in one group; {@code lost} counts those above 1. */
    record Ratios(Group of, int rows, double geometricMean, double best, double worst, int lost) {}

    /** The time on one thread over that on {@code threads}; {@code below} counts the bad ones. */
    record SpeedUp(String kernel, int threads, int rows, double best, double worst, int below) {}

    /** A line for each kernel, peer, preset and number of threads, kernels as they were timed. */
    static List<Ratios> ratios(BenchResults results) {
        Map<Group, List<Double>> groups = new LinkedHashMap<>();
        for (Row row : results.rows()) {
            Case what = row.what();
            for (Peer peer : row.compared()) {
                Group group =
                        new Group(
                                what.kernel(),
                                peer.name(),
                                peer.part(),
                                what.preset(),
                                what.threads());
                groups.computeIfAbsent(group, key -> new ArrayList<>()).add(peer.ratio());
            }
        }
        // The file has all sets on one thread before the first on two.
        List<String> kernels = groups.keySet().stream().map(Group::kernel).distinct().toList();
        List<String> peers = groups.keySet().stream().map(Group::peer).distinct().toList();
        List<String> presets = groups.keySet().stream().map(Group::preset).distinct().toList();
        return groups.entrySet().stream()
                .map(e -> ratios(e.getKey(), e.getValue()))
                .sorted(
                        Comparator.comparingInt((Ratios r) -> kernels.indexOf(r.of().kernel()))
                                .thenComparingInt(r -> peers.indexOf(r.of().peer()))
                                .thenComparingInt(r -> presets.indexOf(r.of().preset()))
                                .thenComparingInt(r -> r.of().threads()))
                .toList();
    }

    private static Ratios ratios(Group group, List<Double> ratios) {
        DoubleSummaryStatistics range =
                ratios.stream().mapToDouble(Double::doubleValue).summaryStatistics();
        // Of ratios, so that twice as fast and half as fast cancel; the mean would call that slow.
        double logarithm = ratios.stream().mapToDouble(Math::log).average().orElse(Double.NaN);
        int lost = (int) ratios.stream().filter(ratio -> ratio > 1).count();
        return new Ratios(
                group, ratios.size(), Math.exp(logarithm), range.getMin(), range.getMax(), lost);
    }

    // A machine that gave half its processors tells nothing about the kernel.
    private static boolean scales(Row row) {
        return row.counts() && row.undisturbed();
    }

    /** A line for each kernel and number of threads above one. */
    static List<SpeedUp> speedUps(BenchResults results) {
        Map<Case, Double> onOne = new HashMap<>();
        for (Row row : results.rows()) {
            if (scales(row) && row.what().threads() == 1 && row.us() > SPEED_UP_FROM_US) {
                onOne.put(row.what(), row.us());
            }
        }
        record Key(String kernel, int threads) {}
        Map<Key, List<Double>> groups = new LinkedHashMap<>();
        for (Row row : results.rows()) {
            Case what = row.what();
            Double one = onOne.get(what.on(1));
            if (scales(row) && what.threads() > 1 && one != null) {
                groups.computeIfAbsent(
                                new Key(what.kernel(), what.threads()), key -> new ArrayList<>())
                        .add(one / row.us());
            }
        }
        List<SpeedUp> lines = new ArrayList<>();
        groups.forEach(
                (key, values) -> {
                    DoubleSummaryStatistics range =
                            values.stream().mapToDouble(Double::doubleValue).summaryStatistics();
                    double least = SHARE_OF_THREADS * key.threads();
                    lines.add(
                            new SpeedUp(
                                    key.kernel(),
                                    key.threads(),
                                    values.size(),
                                    range.getMax(),
                                    range.getMin(),
                                    (int) values.stream().filter(v -> v < least).count()));
                });
        return lines;
    }
}
