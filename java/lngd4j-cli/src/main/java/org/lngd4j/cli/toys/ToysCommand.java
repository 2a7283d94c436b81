// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.lngd4j.LngdInfo;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.support.AtomicFile;
import org.lngd4j.cli.support.Natives;
import org.lngd4j.cli.support.PaddedTable;
import org.lngd4j.cli.toys.ToyBench.Finding;
import org.nd4j.nativeblas.NativeOpsHolder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * {@code lngd toys}. A command of its own: {@code lngd compare} tunes optimizers on one data set,
 * each run in a process and a folder; this one tunes nothing, and has so many and so short runs
 * that starting processes would take longer.
 */
@Command(
        name = "toys",
        description =
                "Trains small generated problems with optimizers at their defaults, and tells where one does worse than the"
                        + " better of two untuned Adams.",
        sortOptions = false,
        mixinStandardHelpOptions = true)
public final class ToysCommand implements Callable<Integer> {
    private static final int MOST_SEEDS = 1000;

    @Option(names = "--list", description = "List the problems and train nothing.")
    private boolean list;

    @Option(
            names = "--problems",
            paramLabel = "A,B,...",
            description = "Only these (default: all).")
    private String problems;

    @Option(
            names = "--optimizers",
            paramLabel = "A,B,...",
            defaultValue = "lngd",
            description =
                    "Those that are judged: names as for lngd train; with @VALUE its learning rate, or its trust ratio where"
                            + " it has no learning rate; then /avg or /raw, and for lngd /PRESET (default: lngd).")
    private String optimizers;

    @Option(
            names = "--against",
            paramLabel = "A,B,...",
            defaultValue = ToyBench.REFERENCES,
            description = "Those that they are judged by (default: " + ToyBench.REFERENCES + ").")
    private String against;

    @Option(
            names = "--preset",
            paramLabel = "auto|PRESET",
            defaultValue = Entrant.PRESET_BY_KIND,
            description =
                    "Of lngd, as for lngd train; auto: by whether a problem is a classification (default: auto).")
    private String preset;

    @Option(
            names = "--seeds",
            paramLabel = "N",
            defaultValue = "3",
            description =
                    "Runs for each, with samples, weights and order of their own (default: 3).")
    private int seeds;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            defaultValue = "runs/toys",
            description = "Folder for table.md and results.json (default: runs/toys).")
    private Path out;

    @Override
    public Integer call() throws IOException {
        if (list) {
            System.out.print(listing());
            return 0;
        }
        ToyBench bench = bench();
        Natives.checkedFolder();
        bench.check();
        makeFolder();
        Natives.loadNd4j();
        NativeOpsHolder.getInstance().getDeviceNativeOps().setOmpNumThreads(1);
        long begin = System.nanoTime();
        List<Finding> findings = bench.run(ToysCommand::progress);
        double seconds = (System.nanoTime() - begin) / 1e9;
        ToyReport report = new ToyReport(bench, findings, facts(bench, seconds));
        AtomicFile.write(out.resolve("table.md"), report.markdown());
        AtomicFile.write(out.resolve("results.json"), report.json());
        System.out.print(report.text());
        System.out.print(report.summary());
        System.out.println(
                "best / final test loss (accuracy %), means of "
                        + bench.seeds()
                        + (bench.seeds() == 1 ? " seed" : " seeds")
                        + "; best and final: over the better reference; (x): not judged, pure over-training");
        System.out.println("files in " + out);
        System.out.flush();
        return 0;
    }

    private ToyBench bench() {
        if (seeds < 1 || seeds > MOST_SEEDS) {
            throw CliException.badInput("--seeds " + seeds + ": must be 1 to " + MOST_SEEDS);
        }
        List<Entrant> judged = Entrant.list("--optimizers", optimizers);
        List<Entrant> references = Entrant.list("--against", against);
        long distinct = Stream.concat(judged.stream(), references.stream()).distinct().count();
        if (distinct < judged.size() + references.size()) {
            throw CliException.badInput(
                    "--optimizers "
                            + optimizers
                            + ", --against "
                            + against
                            + ": one is there twice");
        }
        return new ToyBench(
                problems == null ? Problems.ALL : Problems.listed(problems),
                judged,
                references,
                preset,
                seeds);
    }

    private void makeFolder() {
        try {
            Files.createDirectories(out);
        } catch (IOException e) {
            throw CliException.badInput("--out " + out + ": cannot be made (" + e + ")", e);
        }
    }

    private static void progress(Finding finding) {
        String verdicts =
                String.join(
                        ", ",
                        finding.judged().stream()
                                .map(
                                        outcome ->
                                                outcome.entrant().name()
                                                        + " "
                                                        + finding.judgement(outcome).verdict())
                                .toList());
        System.err.println("lngd: " + finding.problem().name() + ": " + verdicts);
    }

    private static String listing() {
        List<List<String>> lines = new ArrayList<>();
        lines.add(
                List.of(
                        "problem",
                        "network",
                        "what",
                        "training",
                        "test",
                        "batch",
                        "epochs",
                        "steps"));
        for (Problem problem : Problems.ALL) {
            lines.add(
                    List.of(
                            problem.name(),
                            problem.network().toString(),
                            problem.summary(),
                            String.valueOf(problem.training()),
                            String.valueOf(problem.test()),
                            String.valueOf(problem.batch()),
                            String.valueOf(problem.epochs()),
                            String.valueOf(problem.totalSteps())));
        }
        return PaddedTable.text(3, lines);
    }

    private static Map<String, Object> facts(ToyBench bench, double seconds) {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("seeds", bench.seeds());
        facts.put("preset of lngd", bench.preset());
        facts.put("seconds in all", String.format(Locale.ROOT, "%.1f", seconds));
        facts.put("library", "lngd " + LngdInfo.current().libraryVersion());
        facts.put(
                "commit",
                Objects.requireNonNullElse(System.getProperty("org.lngd4j.commit"), "unknown"));
        facts.put("written", LocalDateTime.now().truncatedTo(ChronoUnit.SECONDS).toString());
        return facts;
    }
}
