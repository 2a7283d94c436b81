// SPDX-License-Identifier: Apache-2.0

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Reads the runs of bench/train/run.sh and prints a Markdown table: {@code java bench/train/Table.java OUT}. "To 88 %" is the
 * first evaluation that reached it, in epochs and in training seconds, mean of the seeds; "-" if a seed did not.
 */
public final class Table {
    record Row(double epoch, double seconds, double testLoss, double accuracy) {}

    record Run(String method, List<Row> rows) {
        OptionalDouble firstAt(double accuracy, Function<Row, Double> what) {
            return rows.stream().filter(r -> r.accuracy >= accuracy).mapToDouble(what::apply).findFirst();
        }

        Row last() {
            return rows.get(rows.size() - 1);
        }
    }

    public static void main(String[] args) throws IOException {
        List<Run> runs = new ArrayList<>();
        try (Stream<Path> folders = Files.list(Path.of(args[0]))) {
            for (Path folder : folders.sorted().toList()) {
                if (Files.exists(folder.resolve("summary.json"))) {
                    runs.add(read(folder));
                }
            }
        }
        Map<String, List<Run>> methods = runs.stream().collect(Collectors.groupingBy(Run::method, TreeMap::new, Collectors.toList()));
        System.out.println("| method | seeds | final accuracy | test loss | to 88 %: epochs | seconds | to 89 %: epochs | seconds | ms a step |");
        System.out.println("|---|---|---|---|---|---|---|---|---|");
        methods.entrySet().stream()
                .sorted(Comparator.comparingInt((Map.Entry<String, List<Run>> e) -> -e.getValue().size()).thenComparing(e -> e.getKey()))
                .forEach(e -> System.out.println(line(e.getKey(), e.getValue())));
    }

    private static Run read(Path folder) throws IOException {
        List<Row> rows = new ArrayList<>();
        List<String> lines = Files.readAllLines(folder.resolve("metrics.csv"));
        for (String line : lines.subList(1, lines.size())) {
            String[] cells = line.split(",");
            rows.add(new Row(number(cells[1]), number(cells[2]), number(cells[4]), number(cells[5])));
        }
        return new Run(folder.getFileName().toString().replaceAll("-seed\\d+$", ""), rows);
    }

    private static String line(String method, List<Run> runs) {
        double[] accuracy = runs.stream().mapToDouble(r -> 100 * r.last().accuracy).toArray();
        double mean = mean(accuracy);
        double spread = Math.sqrt(java.util.Arrays.stream(accuracy).map(a -> (a - mean) * (a - mean)).sum() / Math.max(1, accuracy.length - 1));
        double loss = mean(runs.stream().mapToDouble(r -> r.last().testLoss).toArray());
        double step = mean(runs.stream().mapToDouble(r -> 1000 * r.last().seconds / (r.last().epoch * 235)).toArray());
        return String.format(Locale.ROOT, "| %s | %d | %.2f ±%.2f | %.3f | %s | %s | %s | %s | %.2f |", method, runs.size(), mean, spread, loss,
                reached(runs, 0.88, Row::epoch), reached(runs, 0.88, Row::seconds), reached(runs, 0.89, Row::epoch),
                reached(runs, 0.89, Row::seconds), step);
    }

    private static String reached(List<Run> runs, double target, Function<Row, Double> what) {
        List<OptionalDouble> firsts = runs.stream().map(r -> r.firstAt(target, what)).toList();
        if (firsts.stream().anyMatch(OptionalDouble::isEmpty)) {
            return "-";
        }
        return String.format(Locale.ROOT, "%.2f", mean(firsts.stream().mapToDouble(OptionalDouble::getAsDouble).toArray()));
    }

    private static double mean(double[] values) {
        return java.util.Arrays.stream(values).average().orElse(Double.NaN);
    }

    private static double number(String text) {
        return Double.parseDouble(text);
    }
}
