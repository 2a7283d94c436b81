// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
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

    private final Path root;

    RunStore(Path root) {
        this.root = root;
    }

    /**
     * A run that has ended.
     *
     * @param rows its evaluations; for a diverged run those before
     * @param diverged whether its loss went out of all bounds
     * @param commit the commit that it was made with, or null
     */
    record Done(List<MetricsRow> rows, boolean diverged, String commit) {
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

    void markDiverged(PlannedRun run, String message) throws IOException {
        Files.createDirectories(folder(run));
        AtomicFile.write(folder(run).resolve(DIVERGED), message + "\n");
    }

    /** The result of a run that has ended, empty for one that has still to be done. */
    Optional<Done> find(PlannedRun run) {
        Path folder = folder(run);
        try {
            if (Files.exists(folder.resolve(DIVERGED))) {
                return Optional.of(new Done(rows(run), true, null));
            }
            if (!Files.exists(folder.resolve(SUMMARY))) {
                return Optional.empty();
            }
            Map<String, Object> summary =
                    Json.readObject(Files.readString(folder.resolve(SUMMARY)));
            Object commit = summary.get("gitCommit");
            return Optional.of(
                    new Done(rows(run), false, commit == null ? null : commit.toString()));
        } catch (IOException | IllegalArgumentException e) {
            throw CliException.badInput(
                    folder + ": cannot be read (" + e.getMessage() + "); delete it to run it again",
                    e);
        }
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
