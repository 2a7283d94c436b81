// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.support.AtomicFile;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.train.MetricsRow;

/** The runs that a comparison has done, each in a folder of {@code lngd train}. */
final class RunStore {
    // What lngd train leaves in a folder; they are its interface to its users too.
    private static final String SUMMARY = "summary.json";
    private static final String METRICS = "metrics.csv";
    private static final String CHECKPOINT = "checkpoint.zip";
    private static final String DIVERGED = "diverged.txt";

    // What the comparison itself adds to it: an array, an object for each process of the run.
    private static final String MEASURED = "measured.json";
    private static final String STARTS = "starts";

    private final Path root;

    RunStore(Path root) {
        this.root = root;
    }

    /**
     * A run that has ended.
     *
     * @param rows its evaluations; for a diverged run those before
     * @param diverged whether its loss went out of all bounds
     * @param folder its name in the store
     * @param commit the commit that it was made with, or null
     * @param measured what it was measured under
     * @param details every setting of its optimizer, defaults too, and its device; null for a
     *     diverged run
     */
    record Done(
            List<MetricsRow> rows,
            boolean diverged,
            String folder,
            String commit,
            Measured measured,
            Map<String, Object> details) {
        MetricsRow last() {
            return rows.get(rows.size() - 1);
        }
    }

    Path folder(PlannedRun run) {
        return root.resolve(run.folderName());
    }

    Path log(PlannedRun run) {
        return root.resolve(run.folderName() + ".log");
    }

    void create() {
        try {
            Files.createDirectories(root);
        } catch (IOException e) {
            throw CliException.badInput(
                    "--out " + root.getParent() + ": cannot be made (" + e + ")", e);
        }
    }

    /** Whether a checkpoint is there, so that the run can go on instead of beginning anew. */
    boolean isBegun(PlannedRun run) {
        return Files.exists(folder(run).resolve(CHECKPOINT));
    }

    /** Writes down what the next process of a run runs under. */
    void begin(PlannedRun run, Measured now) {
        List<Measured> starts = new ArrayList<>();
        if (isBegun(run)) {
            // Begun by a version that did not write it: unknown.
            starts.addAll(starts(run).orElse(List.of(new Measured(Map.of()))));
        }
        starts.add(now);
        try {
            Files.createDirectories(folder(run));
            AtomicFile.write(
                    folder(run).resolve(MEASURED),
                    Json.write(Map.of(STARTS, starts.stream().map(Measured::facts).toList())));
        } catch (IOException e) {
            throw CliException.failure(folder(run) + ": cannot be written to (" + e + ")", e);
        }
    }

    private Optional<List<Measured>> starts(PlannedRun run) {
        Path file = folder(run).resolve(MEASURED);
        try {
            if (!Files.exists(file)) {
                return Optional.empty();
            }
            List<Measured> starts = new ArrayList<>();
            if (Json.readObject(Files.readString(file)).get(STARTS) instanceof List<?> list) {
                for (Object start : list) {
                    Map<String, String> facts = new LinkedHashMap<>();
                    if (start instanceof Map<?, ?> map) {
                        map.forEach((name, value) -> facts.put(name.toString(), value.toString()));
                    }
                    starts.add(new Measured(facts));
                }
            }
            return starts.isEmpty() ? Optional.empty() : Optional.of(starts);
        } catch (IOException | IllegalArgumentException e) {
            throw CliException.badInput(
                    file
                            + ": cannot be read ("
                            + e.getMessage()
                            + "); delete it, then what the run"
                            + " was measured under is unknown",
                    e);
        }
    }

    void markDiverged(PlannedRun run, String message) throws IOException {
        Files.createDirectories(folder(run));
        AtomicFile.write(folder(run).resolve(DIVERGED), message + "\n");
    }

    /** The result of a run that has ended, empty for one that has still to be done. */
    Optional<Done> find(PlannedRun run) {
        Path folder = folder(run);
        try {
            if (Files.exists(folder.resolve(DIVERGED))) {
                return Optional.of(
                        new Done(
                                rows(run),
                                true,
                                run.folderName(),
                                null,
                                starts(run).map(Measured::of).orElse(new Measured(Map.of())),
                                null));
            }
            if (!Files.exists(folder.resolve(SUMMARY))) {
                return Optional.empty();
            }
            Map<String, Object> summary =
                    Json.readObject(Files.readString(folder.resolve(SUMMARY)));
            Object commit = summary.get("gitCommit");
            return Optional.of(
                    new Done(
                            rows(run),
                            false,
                            run.folderName(),
                            commit == null ? null : commit.toString(),
                            starts(run).map(Measured::of).orElse(Measured.ofSummary(summary)),
                            details(summary)));
        } catch (IOException | IllegalArgumentException e) {
            throw CliException.badInput(
                    folder + ": cannot be read (" + e.getMessage() + "); delete it to run it again",
                    e);
        }
    }

    private static Map<String, Object> details(Map<String, Object> summary) {
        Map<String, Object> details = new LinkedHashMap<>();
        if (summary.get("settings") instanceof Map<?, ?> settings) {
            settings.forEach((name, value) -> details.put(name.toString(), value));
        }
        details.remove("reason"); // words about the others
        details.put("device", summary.get("device")); // which --device auto has chosen
        return details;
    }

    /** The evaluations so far; none where there is no file yet. */
    List<MetricsRow> rows(PlannedRun run) {
        Path file = folder(run).resolve(METRICS);
        try {
            return Files.exists(file)
                    ? Files.readAllLines(file).stream().skip(1).map(MetricsRow::parse).toList()
                    : List.of();
        } catch (IOException e) {
            throw CliException.failure(file + ": cannot be read (" + e + ")", e);
        }
    }
}
