// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.lngd4j.cli.compare.Spread;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.support.MarkdownTable;
import org.lngd4j.cli.support.PaddedTable;
import org.lngd4j.cli.toys.ToyBench.Finding;

/** The findings of a bench as tables and as JSON. */
final class ToyReport {
    private final ToyBench bench;
    private final List<Finding> findings;
    private final Map<String, Object> facts;

    /**
     * @param findings of the bench
     * @param facts where and when, for the files
     */
    ToyReport(ToyBench bench, List<Finding> findings, Map<String, Object> facts) {
        this.bench = bench;
        this.findings = findings;
        this.facts = facts;
    }

    /** The short table for a terminal: a line for each problem. */
    String text() {
        List<List<String>> lines = new ArrayList<>(List.of(titles()));
        findings.forEach(finding -> lines.add(line(finding)));
        return PaddedTable.text(1, lines);
    }

    /** How many verdicts are good, a line for each judged optimizer. */
    String summary() {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < bench.judged().size(); i++) {
            int at = i;
            List<String> lost =
                    findings.stream()
                            .filter(f -> !f.judgement(f.judged().get(at)).verdict().isGood())
                            .map(f -> f.problem().name())
                            .toList();
            text.append(
                    String.format(
                            Locale.ROOT,
                            "%s: within %.0f %% of the better of %s on %d of %d problems%s%n",
                            bench.judged().get(i).name(),
                            100 * (Judgement.BOUND - 1),
                            String.join(
                                    ", ", bench.references().stream().map(Entrant::name).toList()),
                            findings.size() - lost.size(),
                            findings.size(),
                            lost.isEmpty() ? "" : "; not on " + String.join(", ", lost)));
        }
        return text.toString();
    }

    /** The facts, the short table and the whole one. */
    String markdown() {
        StringBuilder text = new StringBuilder("# Small problems\n\n");
        facts.forEach(
                (name, value) ->
                        text.append("- ").append(name).append(": ").append(value).append('\n'));
        MarkdownTable brief = new MarkdownTable(1, titles().toArray(String[]::new));
        findings.forEach(finding -> brief.add(line(finding).toArray(String[]::new)));
        text.append("\n").append(brief).append("\n").append(summary());
        MarkdownTable whole =
                new MarkdownTable(
                        2,
                        "problem",
                        "optimizer",
                        "best test loss",
                        "final test loss",
                        "final accuracy %",
                        "seconds");
        for (Finding finding : findings) {
            for (Outcome outcome : finding.outcomes()) {
                whole.add(
                        finding.problem().name(),
                        outcome.entrant().name(),
                        withSpread(outcome.best()),
                        withSpread(outcome.last()),
                        outcome.accuracy().text(1, 100),
                        outcome.seconds().text(2, 1));
            }
        }
        return text.append("\n## All figures\n\n").append(whole).toString();
    }

    private List<String> titles() {
        List<String> titles = new ArrayList<>(List.of("problem"));
        bench.references().forEach(entrant -> titles.add(entrant.name()));
        bench.judged()
                .forEach(
                        entrant ->
                                titles.addAll(List.of(entrant.name(), "best", "final", "verdict")));
        return titles;
    }

    private static List<String> line(Finding finding) {
        List<String> cells = new ArrayList<>();
        cells.add(finding.problem().name());
        finding.references().forEach(outcome -> cells.add(cell(outcome)));
        for (Outcome outcome : finding.judged()) {
            Judgement judgement = finding.judgement(outcome);
            cells.add(cell(outcome));
            cells.add(ratio(judgement.best()));
            cells.add(
                    finding.problem().overtrains()
                            ? "(" + ratio(judgement.last()) + ")"
                            : ratio(judgement.last()));
            cells.add(judgement.verdict().toString());
        }
        return cells;
    }

    // Best and final loss, and the accuracy at the end where there is one.
    private static String cell(Outcome outcome) {
        Spread accuracy = outcome.accuracy();
        String losses = digits(outcome.best().mean()) + " / " + digits(outcome.last().mean());
        return accuracy.exists()
                ? losses + String.format(Locale.ROOT, " (%.1f)", 100 * accuracy.mean())
                : losses;
    }

    // Three digits that count, whatever the size.
    static String digits(double value) {
        if (!Double.isFinite(value)) {
            return "diverged";
        }
        if (value >= 1e6 || value < 1e-4) {
            return String.format(Locale.ROOT, "%.2e", value);
        }
        int before = value == 0 ? 1 : (int) Math.floor(Math.log10(value)) + 1;
        return String.format(Locale.ROOT, "%." + Math.max(0, 3 - before) + "f", value);
    }

    private static String withSpread(Spread spread) {
        return Double.isFinite(spread.mean())
                ? digits(spread.mean()) + " ±" + digits(spread.deviation())
                : digits(spread.mean());
    }

    private static String ratio(double ratio) {
        return Double.isFinite(ratio) ? String.format(Locale.ROOT, "%.2f", ratio) : "-";
    }

    /** Everything, with every evaluation of every run. */
    String json() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("facts", facts);
        json.put("bound", Judgement.BOUND);
        json.put("problems", findings.stream().map(ToyReport::map).toList());
        return Json.write(json);
    }

    private static Map<String, Object> map(Finding finding) {
        Problem problem = finding.problem();
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("name", problem.name());
        map.put("network", problem.network().toString());
        map.put("overtrains", problem.overtrains());
        List<Map<String, Object>> outcomes = new ArrayList<>();
        finding.references().forEach(outcome -> outcomes.add(map(outcome)));
        for (Outcome outcome : finding.judged()) {
            Judgement judgement = finding.judgement(outcome);
            Map<String, Object> judged = map(outcome);
            judged.put("bestRatio", orNull(judgement.best()));
            judged.put("finalRatio", orNull(judgement.last()));
            judged.put("verdict", judgement.verdict().toString());
            outcomes.add(judged);
        }
        map.put("optimizers", outcomes);
        return map;
    }

    private static Map<String, Object> map(Outcome outcome) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("name", outcome.entrant().name());
        map.put("bestLoss", orNull(outcome.best().mean()));
        map.put("finalLoss", orNull(outcome.last().mean()));
        map.put("finalAccuracy", orNull(outcome.accuracy().mean()));
        map.put("seconds", outcome.seconds().mean());
        map.put("runs", outcome.runs().stream().map(ToyReport::map).toList());
        return map;
    }

    private static Map<String, Object> map(ToyRun.Result run) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("seed", run.seed());
        map.put("diverged", run.diverged());
        map.put("seconds", run.seconds());
        map.put("epochs", run.rows().stream().map(row -> row.epoch()).toList());
        map.put("testLosses", run.rows().stream().map(row -> row.testLoss()).toList());
        map.put(
                "testAccuracies",
                run.rows().stream().map(row -> orNull(row.testAccuracy())).toList());
        return map;
    }

    // JSON has no infinity and no NaN.
    private static Double orNull(double value) {
        return Double.isFinite(value) ? value : null;
    }
}
