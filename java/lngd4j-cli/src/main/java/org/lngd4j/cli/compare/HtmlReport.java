// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** One HTML page with everything in it: the pictures are inside, so it can be sent as one file. */
final class HtmlReport {
    private static final String STYLE =
            """
            body { font: 15px/1.5 system-ui, sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em; color: #222; }
            table { border-collapse: collapse; margin: 1em 0; }
            th, td { padding: .3em .8em; border-bottom: 1px solid #ddd; text-align: right; }
            th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
            img { max-width: 49%; height: auto; }
            .mixture { color: #a00; } dl { color: #555; font-size: 13px; } dt { font-weight: 600; } dd { margin: 0 0 .3em 1.5em; }
            h1, h2 { font-weight: 600; } h2 { margin-top: 2em; }
            """;

    private final StringBuilder page = new StringBuilder();

    private HtmlReport() {}

    /**
     * What stands at the head of the page.
     *
     * @param mixture in what the runs of the table differ that should be the same
     */
    record Tables(ResultTable results, List<String> mixture) {}

    /**
     * Writes the page.
     *
     * @param facts what was compared and where, in the order they are shown
     */
    static String write(
            String title,
            Map<String, String> facts,
            Tables tables,
            List<ContenderResult> results,
            Map<String, byte[]> pictures) {
        HtmlReport report = new HtmlReport();
        report.page
                .append("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n<title>")
                .append(escaped(title))
                .append("</title>\n<style>\n")
                .append(STYLE)
                .append("</style>\n");
        report.element("h1", title);
        ResultTable table = tables.results();
        report.table(table.titles(), table.lines());
        tables.mixture().forEach(line -> report.element("p class=\"mixture\"", line));
        report.explain(table.explanations());
        report.element("h2", "Curves");
        pictures.forEach(report::picture);
        report.element("h2", "Tuning");
        report.tuning(results);
        report.element("h2", "What was done");
        report.table(
                List.of("", ""),
                facts.entrySet().stream().map(e -> List.of(e.getKey(), e.getValue())).toList());
        return report.page.append("</html>\n").toString();
    }

    private void tuning(List<ContenderResult> results) {
        boolean none = results.stream().allMatch(result -> result.trials().isEmpty());
        if (none) {
            element("p", "Nothing was tuned in this comparison.");
            return;
        }
        element(
                "p",
                "Each line is a short run with a seed of its own. Its score is what was measured at"
                        + " its end on images or sentences that no whole run is measured on: accuracy"
                        + " as a share of 1, less a millionth of the loss, which decides between equal"
                        + " ones; where there is no accuracy, the loss with a minus. The whole runs"
                        + " have the settings of the line that was taken.");
        for (ContenderResult result : results) {
            element("h3", result.contender().name());
            table(
                    List.of("settings", "", "score on the held-out part (more is better)"),
                    result.trials().entrySet().stream()
                            .map(e -> trial(result, e.getKey(), e.getValue()))
                            .toList());
        }
    }

    private static List<String> trial(ContenderResult result, List<Integer> point, double score) {
        return List.of(
                RunFactory.describe(result.contender(), point),
                point.equals(result.point()) ? "taken" : "",
                Double.isInfinite(score) ? "diverged" : String.format(Locale.ROOT, "%.4f", score));
    }

    private void table(List<String> titles, List<List<String>> lines) {
        page.append("<table>\n");
        line("th", titles);
        lines.forEach(cells -> line("td", cells));
        page.append("</table>\n");
    }

    private void line(String tag, List<String> cells) {
        page.append("<tr>");
        for (String cell : cells) {
            page.append('<').append(tag).append('>').append(escaped(cell));
            page.append("</").append(tag).append('>');
        }
        page.append("</tr>\n");
    }

    private void explain(Map<String, String> explanations) {
        page.append("<dl>\n");
        explanations.forEach(
                (title, words) -> {
                    element("dt", title);
                    element("dd", words);
                });
        page.append("</dl>\n");
    }

    /** {@code tag} may have attributes behind its name. */
    private void element(String tag, String text) {
        page.append('<').append(tag).append('>').append(escaped(text));
        page.append("</").append(tag.split(" ")[0]).append(">\n");
    }

    private void picture(String name, byte[] png) {
        page.append("<img alt=\"")
                .append(escaped(name))
                .append("\" src=\"data:image/png;base64,")
                .append(Base64.getEncoder().encodeToString(png))
                .append("\">\n");
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace("\"", "&quot;");
    }
}
