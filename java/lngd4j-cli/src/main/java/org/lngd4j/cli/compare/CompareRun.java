// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.Engines;
import org.lngd4j.cli.compare.RunStore.Done;
import org.lngd4j.cli.compare.Target.Measure;
import org.lngd4j.cli.model.ModelSpec;
import org.lngd4j.cli.support.AtomicFile;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.support.Natives;
import org.lngd4j.cli.support.Terminal;
import org.lngd4j.cli.train.Quality;
import org.lngd4j.cli.train.StopSignal;
import org.lngd4j.cli.train.Tasks;
import org.lngd4j.cli.train.Tasks.Outline;
import org.lngd4j.cli.train.TrainSettings;

/** {@code lngd compare} from its settings to its files. */
final class CompareRun {
    private final CompareSettings settings;
    private final Path out;
    private final PrintStream standard;
    private final PrintStream error;

    CompareRun(CompareSettings settings, Path out, PrintStream standard, PrintStream error) {
        this.settings = settings;
        this.out = out;
        this.standard = standard;
        this.error = error;
    }

    /**
     * Compares; returns the exit status: 0, or {@link StopSignal#EXIT_STATUS} where it was stopped.
     */
    int execute() {
        Natives.checkedFolder();
        // Everything that can be wrong is found before the first run, not after an hour.
        TrainSettings first =
                new RunFactory(settings, 1)
                        .wholeRun(
                                settings.contenders().get(0),
                                start(settings.contenders().get(0)),
                                1)
                        .settings();
        Outline task = Tasks.outline(first, error::println);
        checkTarget(task.quality());
        RunFactory runs = new RunFactory(settings, task.samples(), task.quality() != Quality.BLEU);
        TunedFile tuned =
                settings.tuning().file() == null
                        ? null
                        : TunedFile.read(Path.of(settings.tuning().file()), settings.contenders());
        settings.contenders().forEach(c -> checkEngine(runs.wholeRun(c, start(c), 1)));
        Measure measure = measure(task.quality());
        RunStore store = new RunStore(out.resolve("runs"));
        store.create();
        error.println(
                "lngd: "
                        + network(task.spec())
                        + ", "
                        + names()
                        + ", "
                        + settings.seeds()
                        + " seeds of "
                        + settings.epochs()
                        + " epochs, to "
                        + out);
        try (StopSignal stop = StopSignal.ofProcess()) {
            Optional<List<ContenderResult>> results;
            long total = Comparison.totalSteps(settings, runs);
            try (CompareProgress progress =
                    new CompareProgress(error, Terminal.errorIsInteractive(), total)) {
                RunProcess process = new RunProcess(store, stop);
                results =
                        new Comparison(settings, runs, store, process, progress, measure, tuned)
                                .execute();
            }
            if (results.isEmpty()) {
                error.println("lngd: stopped; the same command goes on where it was");
                return StopSignal.EXIT_STATUS;
            }
            report(task, results.get(), measure);
            return 0;
        } catch (IOException e) {
            throw CliException.failure(out + ": " + e, e);
        }
    }

    /** What another engine than DL4J has not got: an optimizer, or its natives. */
    private void checkEngine(PlannedRun run) {
        if (settings.engine() != null) {
            Engines.of(run.settings()).check(run.settings());
        }
    }

    private void checkTarget(Quality quality) {
        Measure asked = settings.target() == null ? Measure.LOSS : settings.target().measure();
        if (asked.rises() && asked != measureOf(quality)) {
            throw CliException.badInput(
                    "--target: this network has no "
                            + asked.words()
                            + "; name "
                            + (quality == Quality.NONE
                                    ? ""
                                    : quality == Quality.BLEU ? "bleu=X, " : "acc=X, ")
                            + "loss=X or train-loss=X");
        }
    }

    private static Measure measureOf(Quality quality) {
        return switch (quality) {
            case ACCURACY -> Measure.ACC;
            case BLEU -> Measure.BLEU;
            case NONE -> Measure.LOSS;
        };
    }

    private String network(ModelSpec spec) {
        return spec + settings.engineName().map(name -> ", " + name).orElse("");
    }

    private static List<Integer> start(Contender contender) {
        return new GridSearch(contender.axes(), 0).start();
    }

    private Measure measure(Quality quality) {
        return settings.target() != null ? settings.target().measure() : measureOf(quality);
    }

    private String names() {
        return settings.contenders().stream()
                .map(Contender::name)
                .collect(Collectors.joining(", "));
    }

    private void report(Outline task, List<ContenderResult> results, Measure measure)
            throws IOException {
        Target target =
                settings.target() != null
                        ? settings.target()
                        : Target.reachedByAll(
                                        measure,
                                        results.stream()
                                                .flatMap(r -> r.complete().stream())
                                                .map(Done::rows)
                                                .toList())
                                .orElse(null);
        ResultTable table = new ResultTable(results, target, task.quality(), settings.engineName());
        List<String> mixture = Mixture.of(results);
        Map<String, String> facts = facts(task, results, target);
        Map<String, byte[]> pictures = pictures(results, task.quality());
        for (Map.Entry<String, byte[]> picture : pictures.entrySet()) {
            AtomicFile.write(out.resolve(picture.getKey()), o -> o.write(picture.getValue()));
        }
        String title = network(task.spec()) + ": " + names();
        AtomicFile.write(
                out.resolve("report.html"),
                HtmlReport.write(
                        title, facts, new HtmlReport.Tables(table, mixture), results, pictures));
        AtomicFile.write(out.resolve("table.md"), table.markdown() + paragraphs(mixture));
        AtomicFile.write(out.resolve("tuned.json"), TunedFile.of(results).toJson());
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("facts", facts);
        json.put("titles", table.titles());
        json.put("lines", table.lines());
        json.put("mixture", mixture);
        json.put("runs", RawRuns.of(results));
        AtomicFile.write(out.resolve("results.json"), Json.write(json));
        standard.println(title);
        standard.println(
                target == null
                        ? "no target: not every run gave a result"
                        : "target: "
                                + target
                                + (settings.target() == null ? ", reached by all runs" : ""));
        standard.print(table.text());
        mixture.forEach(standard::println);
        standard.println("files in " + out + ", report.html first");
        standard.flush();
    }

    private static String paragraphs(List<String> lines) {
        return lines.stream().map(line -> "\n" + line + "\n").collect(Collectors.joining());
    }

    private Map<String, byte[]> pictures(List<ContenderResult> results, Quality quality)
            throws IOException {
        try {
            return Plots.draw(results, quality);
        } catch (RuntimeException | LinkageError e) {
            // As in lngd train: a machine without fonts must not lose hours for pictures.
            error.println(
                    "lngd: no curves were drawn ("
                            + e
                            + "); are fonts installed? (Debian: fontconfig, fonts-dejavu-core)");
            return Map.of();
        }
    }

    private static String atATime(List<Measured> runs) {
        String shared = Mixture.shared(runs, Measured.AT_A_TIME);
        return switch (shared) {
            case "1" -> "one after the other";
            case Measured.UNKNOWN -> "how many at a time is unknown";
            default -> shared + " at a time";
        };
    }

    private Map<String, String> facts(Outline task, List<ContenderResult> results, Target target) {
        List<Measured> measured =
                results.stream().flatMap(r -> r.runs().stream()).map(Done::measured).toList();
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("network", task.spec() + ", " + task.spec().parameters() + " parameters");
        facts.put(
                "data",
                task.data()
                        + (settings.trainSamples() == null
                                ? ""
                                : ", the first " + settings.trainSamples()));
        facts.put(
                "runs",
                settings.seeds()
                        + " seeds, "
                        + settings.epochs()
                        + " epochs, batch "
                        + settings.batch()
                        + ", each in a process of its own, "
                        + atATime(measured));
        facts.put("target", target == null ? "none" : target.toString());
        CompareSettings.Tuning tuning = settings.tuning();
        facts.put(
                "tuning",
                tuning.file() != null
                        ? "from " + tuning.file()
                        : tuning.trials() == 0
                                ? "none, defaults"
                                : tuning.trials()
                                        + " runs of "
                                        + tuning.epochs()
                                        + " epochs for each, judged on "
                                        + (task.quality() == Quality.BLEU
                                                ? "the loss of the validation set"
                                                : "a tenth of the training images that was held"
                                                        + " out")
                                        + ", with a seed of its own");
        facts.put(
                "clock",
                "batch, forward, backward, update and averaging; not evaluation and checkpoints");
        for (String name :
                List.of(
                        Measured.MACHINE,
                        Measured.THREADS,
                        Measured.JAVA,
                        Measured.ENGINE,
                        Measured.LIBRARY)) {
            facts.put(name, Mixture.shared(measured, name));
        }
        String commits =
                results.stream()
                        .flatMap(r -> r.runs().stream())
                        .map(Done::commit)
                        .filter(Objects::nonNull)
                        .distinct()
                        .collect(Collectors.joining(", "));
        facts.put("commit", commits.isEmpty() ? "unknown" : commits);
        facts.put("written", LocalDateTime.now().truncatedTo(ChronoUnit.SECONDS).toString());
        return facts;
    }
}
