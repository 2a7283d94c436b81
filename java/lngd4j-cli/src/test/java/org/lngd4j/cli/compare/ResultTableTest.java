// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.lngd4j.cli.compare.RunStore.Done;
import org.lngd4j.cli.train.MetricsRow;
import org.lngd4j.cli.train.Quality;

class ResultTableTest {
    private static final Target TARGET = Target.parse("acc=0.8");

    @Test
    void theFiguresOfThePapersTable() {
        ContenderResult sgd = result("sgd", run(10, .5, .7, .8, .82), run(12, .5, .8, .81, .83));
        ContenderResult fast = result("adam", run(11, .8, .81, .7, .79), run(11, .8, .81, .7, .79));
        ContenderResult never = result("lars", run(10, .5, .6, .6, .6), run(10, .5, .6, .8, .8));
        ContenderResult broken = result("lamb", run(10, .8), done(true));
        ResultTable table =
                new ResultTable(
                        List.of(sgd, fast, never, broken),
                        TARGET,
                        Quality.ACCURACY,
                        Optional.empty());

        assertThat(table.titles()).hasSize(10).startsWith("optimizer", "settings");
        List<List<String>> lines = table.lines();
        // After the third and the second evaluation; 10 and 12 seconds an epoch: 30 and 24 seconds.
        assertThat(lines.get(0))
                .startsWith("sgd", "learning-rate 0.1", "2.50 ±0.71", "27.00 ±4.24", "1.00x")
                .contains("11.00 ±1.41", "82.50 ±0.71");
        assertThat(lines.get(1))
                .startsWith("adam", "learning-rate 0.003", "1.00 ±0.00", "11.00 ±0.00", "2.45x")
                .contains("81.00 ±0.00", "79.00 ±0.00");
        // Seconds an epoch: sgd in the middle 11, adam 11; lars 10.
        assertThat(lines.stream().map(line -> line.get(6)))
                .containsExactly("1.00x", "1.00x", "0.91x", "0.91x");
        assertThat(lines.get(2)).contains("- (1 of 2)", "-");
        assertThat(lines.get(3)).contains("- (1 of 2, 1 diverged)");
        assertThat(lines).allMatch(line -> line.size() == 10);
    }

    @Test
    void textAndMarkdownHaveEveryLine() {
        ResultTable table =
                new ResultTable(
                        List.of(result("sgd", run(1, .8)), result("lngd", run(1, .9))),
                        TARGET,
                        Quality.ACCURACY,
                        Optional.of("PyTorch"));

        List<String> text = table.text().lines().toList();
        assertThat(text).hasSize(3);
        assertThat(text.get(0)).startsWith("optimizer (PyTorch)  settings");
        assertThat(text.get(1)).startsWith("sgd  ");
        assertThat(text).allMatch(line -> line.length() == text.get(0).length());
        assertThat(table.markdown().lines())
                .hasSize(4)
                .allMatch(line -> line.split("\\|").length == 11);
    }

    @Test
    void anAutoencoderHasLosses() {
        Done run = done(false, new MetricsRow(1, 1, 2, 90, 91, Double.NaN));
        ResultTable table =
                new ResultTable(
                        List.of(result("sgd", run)),
                        Target.parse("loss=95"),
                        Quality.NONE,
                        Optional.empty());

        assertThat(table.titles()).contains("best test loss").doesNotContain("best accuracy %");
        assertThat(table.lines().get(0)).contains("1.00 ±0.00", "91.00 ±0.00", "90.00 ±0.00");
    }

    @Test
    void translationsHaveBleu() {
        Done run =
                done(
                        false,
                        new MetricsRow(1, 1, 2, 4, 3.5, Double.NaN, 31.5),
                        new MetricsRow(2, 2, 4, 4, 3.25, Double.NaN, 30));
        ResultTable table =
                new ResultTable(
                        List.of(result("sgd", run)),
                        Target.parse("bleu=31"),
                        Quality.BLEU,
                        Optional.of("PyTorch"));

        assertThat(table.titles()).contains("best BLEU", "final BLEU", "final test loss");
        assertThat(table.lines().get(0)).contains("1.00 ±0.00", "31.50 ±0.00", "30.00 ±0.00");
    }

    private static ContenderResult result(String name, Done... runs) {
        Contender contender = Contender.parse(name);
        List<Integer> point = new GridSearch(contender.axes(), 0).start();
        return new ContenderResult(contender, point, Map.of(), List.of(), Arrays.asList(runs));
    }

    // One evaluation an epoch.
    private static Done run(double secondsPerEpoch, double... accuracies) {
        MetricsRow[] rows = new MetricsRow[accuracies.length];
        for (int i = 0; i < rows.length; i++) {
            int epoch = i + 1;
            rows[i] = new MetricsRow(epoch, epoch, secondsPerEpoch * epoch, 1, 1, accuracies[i]);
        }
        return done(false, rows);
    }

    private static Done done(boolean diverged, MetricsRow... rows) {
        return new Done(List.of(rows), diverged, "folder", "abc", new Measured(Map.of()), Map.of());
    }

    /** Every title but the first is explained, and nothing that is not there. */
    @Test
    void everyColumnIsExplained() {
        for (Quality quality : Quality.values()) {
            for (String target : new String[] {null, "loss=1"}) {
                ResultTable table =
                        new ResultTable(
                                List.of(),
                                target == null ? null : Target.parse(target),
                                quality,
                                Optional.empty());
                List<String> explained =
                        table.explanations().keySet().stream()
                                .flatMap(words -> Arrays.stream(words.split(", ")))
                                .toList();
                List<String> expected = new ArrayList<>(table.titles());
                expected.remove("optimizer");
                expected.add("a ± b");
                assertThat(explained).containsExactlyElementsOf(expected);
                assertThat(table.explanations().values()).allMatch(words -> words.endsWith("."));
            }
        }
    }
}
