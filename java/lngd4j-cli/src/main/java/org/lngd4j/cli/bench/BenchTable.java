// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.bench;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.lngd4j.cli.bench.BenchResults.Case;
import org.lngd4j.cli.bench.BenchResults.Ceiling;
import org.lngd4j.cli.bench.BenchResults.Machine;
import org.lngd4j.cli.bench.BenchResults.Peer;
import org.lngd4j.cli.bench.BenchResults.Row;
import org.lngd4j.cli.bench.BenchSummary.Ratios;
import org.lngd4j.cli.bench.BenchSummary.SpeedUp;
import org.lngd4j.cli.support.MarkdownTable;

/** Results in Markdown: where and when, the summary for a README, and every row. */
final class BenchTable {
    private static final String NONE = "-";

    private BenchTable() {}

    static String markdown(BenchResults results) {
        StringBuilder text = new StringBuilder();
        text.append(machine(results.machine())).append("\n\n");
        if (!results.complete()) {
            text.append("**Partial**: this run was not finished, rows are missing.\n\n");
        }
        if (results.bad() > 0) {
            text.append("**Rows that failed or are WRONG: ")
                    .append(results.bad())
                    .append("**; only the table of all rows has them.\n\n");
        }
        text.append("## Our time over the peer's\n\n")
                .append("Below 1 we are faster. Lost: above 1, before rounding. ")
                .append("(part): the peer does less than the kernel.\n\n")
                .append(ratios(BenchSummary.ratios(results)))
                .append("\n## Time on one thread over the time on several\n\n")
                .append("Rows above 1 ms on one thread that nothing disturbed. ")
                .append("0.85 a thread is 1.7 on two.\n\n")
                .append(speedUps(BenchSummary.speedUps(results)))
                .append("\n## All rows\n\n")
                .append(disturbed(results.rows()))
                .append(rows(results.rows()));
        return text.toString();
    }

    /** One line. */
    static String machine(Machine m) {
        String ceilings =
                m.ceilings().stream().map(BenchTable::ceiling).collect(Collectors.joining("; "));
        return String.format(
                        Locale.ROOT,
                        "%s, commit %s%s. %s, %s, %s (core type %s), compiler %s. Ceilings: %s.",
                        m.date(),
                        m.commit(),
                        m.quick() ? ", quick" : "",
                        m.processor().strip(),
                        m.instructions(),
                        m.blas().strip(),
                        m.blasCore(),
                        m.compiler(),
                        ceilings.isEmpty() ? "none" : ceilings)
                .replaceAll("\\R", " ");
    }

    private static String ceiling(Ceiling c) {
        return String.format(
                Locale.ROOT,
                "%d thread%s: sgemm %.1f GFLOP/s, copy %.1f GB/s",
                c.threads(),
                c.threads() == 1 ? "" : "s",
                c.gflops(),
                c.gbytes());
    }

    private static String ratios(List<Ratios> lines) {
        if (lines.isEmpty()) {
            return "No row has a peer.\n";
        }
        MarkdownTable table =
                new MarkdownTable(
                        3,
                        "kernel",
                        "peer",
                        "preset",
                        "threads",
                        "rows",
                        "geometric mean",
                        "best",
                        "worst",
                        "lost");
        for (Ratios line : lines) {
            table.add(
                    line.of().kernel(),
                    line.of().peer() + (line.of().part() ? " (part)" : ""),
                    line.of().preset(),
                    Integer.toString(line.of().threads()),
                    Integer.toString(line.rows()),
                    fixed(3, line.geometricMean()),
                    fixed(3, line.best()),
                    fixed(3, line.worst()),
                    line.lost() == 0 ? "0" : "**" + line.lost() + "**");
        }
        return table.toString();
    }

    private static String speedUps(List<SpeedUp> lines) {
        if (lines.isEmpty()) {
            return "No such row was timed on one thread and on several.\n";
        }
        MarkdownTable table =
                new MarkdownTable(
                        1, "kernel", "threads", "rows", "best", "worst", "below 0.85 a thread");
        for (SpeedUp line : lines) {
            table.add(
                    line.kernel(),
                    Integer.toString(line.threads()),
                    Integer.toString(line.rows()),
                    fixed(2, line.best()),
                    fixed(2, line.worst()),
                    line.below() == 0 ? "0" : "**" + line.below() + "**");
        }
        return table.toString();
    }

    private static String disturbed(List<Row> rows) {
        long count = rows.stream().filter(row -> !row.undisturbed()).count();
        return count == 0
                ? ""
                : "\\*: the machine did not give all its processors, or not close together, while"
                        + " a row or a peer of it was timed ("
                        + count
                        + (count == 1 ? " row" : " rows")
                        + ").\n\n";
    }

    private static String rows(List<Row> rows) {
        MarkdownTable table =
                new MarkdownTable(
                        4,
                        "kernel",
                        "set",
                        "case",
                        "preset",
                        "threads",
                        "us",
                        "GFLOP/s",
                        "GB/s",
                        "of ceiling",
                        "ours / theirs",
                        "residual");
        for (Row row : rows) {
            Case what = row.what();
            table.add(
                    what.kernel(),
                    what.set(),
                    what.name(),
                    what.preset(),
                    Integer.toString(what.threads()),
                    fixed(row.us() < 100 ? 2 : 0, row.us()) + (row.undisturbed() ? "" : " \\*"),
                    fixed(1, row.gflops()),
                    fixed(1, row.gbytes()),
                    Double.isNaN(row.ofCeiling()) ? NONE : fixed(0, 100 * row.ofCeiling()) + " %",
                    peers(row),
                    residual(row));
        }
        return table.toString();
    }

    private static String peers(Row row) {
        if (row.peers().isEmpty()) {
            return NONE;
        }
        return row.peers().stream().map(BenchTable::peer).collect(Collectors.joining("; "));
    }

    private static String peer(Peer peer) {
        if (peer.error() != null) {
            return peer.name() + " FAILED: " + peer.error();
        }
        String ratio = fixed(3, peer.ratio());
        return (peer.lost() ? "**" + ratio + " lost**" : ratio)
                + " "
                + peer.name()
                + (peer.part() ? " (part)" : "");
    }

    private static String residual(Row row) {
        if (row.error() != null) {
            return "**FAILED**: " + row.error();
        }
        String residual =
                Double.isNaN(row.residual())
                        ? "not finite"
                        : String.format(Locale.ROOT, "%.1e", row.residual());
        return row.correct() ? residual : "**" + residual + " WRONG**";
    }

    private static String fixed(int digits, double value) {
        return Double.isNaN(value) ? NONE : String.format(Locale.ROOT, "%." + digits + "f", value);
    }
}
