// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.support.AtomicFile;

/**
 * The folder of one run and its {@code metrics.csv}. Every file in it is replaced atomically, and
 * one process at a time writes to it.
 */
final class RunFolder implements AutoCloseable {
    static final String METRICS = "metrics.csv";
    static final String SUMMARY = "summary.json";
    static final String CURVES = "curves.png";
    static final String SUBWORDS = "subwords.txt";

    private static final String LOCK = ".lock";

    private final Path path;
    private FileChannel lock;

    private RunFolder(Path path) {
        this.path = path;
    }

    /**
     * Checks that a new run can be written to a folder, and changes nothing. Metrics without a
     * checkpoint are of a run that died before its first: nothing can go on from them, and they are
     * replaced.
     *
     * @param named the value of {@code --out}, or null for {@code runs/<time>}
     */
    static RunFolder planned(String named) {
        if (named != null && named.isBlank()) {
            throw CliException.badInput("--out is empty, allowed is the name of a folder");
        }
        Path path =
                named == null
                        ? Path.of(
                                "runs",
                                LocalDateTime.now()
                                        .format(DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss")))
                        : Path.of(named);
        for (String file : List.of(SUMMARY, Checkpoint.FILE)) {
            if (Files.exists(path.resolve(file))) {
                throw CliException.badInput(
                        "--out "
                                + path
                                + ": holds a run already; name another folder, or go on with --resume "
                                + path);
            }
        }
        Path existing = path.toAbsolutePath().normalize();
        while (existing != null && !Files.exists(existing)) {
            existing = existing.getParent();
        }
        if (existing == null || !Files.isDirectory(existing)) {
            throw CliException.badInput("--out " + path + ": " + existing + " is not a folder");
        }
        if (!Files.isWritable(existing)) {
            throw CliException.badInput("--out " + path + ": " + existing + " is not writable");
        }
        return new RunFolder(path);
    }

    /** The folder of a run that is to go on. */
    static RunFolder existing(String named) {
        Path path = Path.of(named);
        if (!Files.isDirectory(path)) {
            throw CliException.badInput("--resume " + named + ": no such folder");
        }
        if (!Files.isWritable(path)) {
            throw CliException.badInput("--resume " + named + ": not writable");
        }
        return new RunFolder(path);
    }

    /** Makes it where it is not there, and keeps other processes out until {@link #close}. */
    void create() {
        try {
            Files.createDirectories(path);
            // The permissions of a folder do not tell all (root, read-only file systems): writing
            // does.
            lock =
                    FileChannel.open(
                            path.resolve(LOCK),
                            StandardOpenOption.CREATE,
                            StandardOpenOption.WRITE);
        } catch (IOException e) {
            throw CliException.badInput("--out " + path + ": cannot be written to (" + e + ")", e);
        }
        try {
            if (lock.tryLock() == null) {
                throw CliException.badInput(
                        "--out " + path + ": another process is writing a run to it");
            }
        } catch (OverlappingFileLockException e) { // in this process
            throw CliException.badInput("--out " + path + ": a run is being written to it", e);
        } catch (IOException e) {
            // A file system without locks, as some that are mounted over a network: without one.
        }
    }

    /** The file stays: deleting it could take the next process's lock away. */
    @Override
    public void close() {
        try {
            if (lock != null) {
                lock.close();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Path file(String name) {
        return path.resolve(name);
    }

    /** The rows up to a step: those after it belong to what a resumed run does again. */
    List<MetricsRow> readMetrics(long lastStep) {
        Path file = file(METRICS);
        try {
            List<MetricsRow> rows = new ArrayList<>();
            List<String> lines = Files.readAllLines(file);
            if (lines.isEmpty() || !lines.get(0).startsWith(MetricsRow.HEADER)) {
                throw CliException.badInput(file + ": does not begin with " + MetricsRow.HEADER);
            }
            for (String line : lines.subList(1, lines.size())) {
                MetricsRow row = MetricsRow.parse(line);
                if (row.step() <= lastStep) {
                    rows.add(row);
                }
            }
            return rows;
        } catch (IOException | IllegalArgumentException e) {
            throw CliException.badInput(file + ": cannot be read (" + e.getMessage() + ")", e);
        }
    }

    void writeMetrics(List<MetricsRow> rows) throws IOException {
        AtomicFile.write(file(METRICS), String.join("\n", MetricsRow.table(rows)) + "\n");
    }

    @Override
    public String toString() {
        return path.toString();
    }
}
