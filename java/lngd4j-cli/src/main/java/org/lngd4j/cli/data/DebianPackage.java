// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Fetches Debian's package of Fashion-MNIST and unpacks it without root. apt verifies its
 * signature.
 *
 * <p>{@code apt-get download} needs no root, but it needs package lists, which a fresh machine or
 * container may lack; then they are fetched into a folder of ours (a second try), since only root
 * may write the system's.
 */
final class DebianPackage {
    static final String NAME = "dataset-fashion-mnist";
    private static final String CONTENT = "usr/share/datasets/fashion-mnist";

    private final String aptGet;
    private final String dpkg;
    private final Duration timeout;

    /**
     * @param aptGet the apt-get to call: a name on the PATH or a path
     * @param dpkg the dpkg to call: a name on the PATH or a path
     * @param timeout the most that one call may take
     */
    DebianPackage(String aptGet, String dpkg, Duration timeout) {
        this.aptGet = aptGet;
        this.dpkg = dpkg;
        this.timeout = timeout;
    }

    /**
     * Puts the data files into {@code target}, each by an atomic move after all of them were read
     * and found whole.
     *
     * @throws IOException with a message that tells what went wrong; then {@code target} is as
     *     before
     */
    void fetchInto(Path target) throws IOException {
        Files.createDirectories(target);
        Path work = Files.createTempDirectory(target, ".debian-");
        try {
            download(work);
            Path unpacked = Files.createDirectory(work.resolve("unpacked"));
            run(work, List.of(dpkg, "-x", onlyPackage(work).toString(), unpacked.toString()));
            Path content = unpacked.resolve(CONTENT);
            Dataset.read(content);
            try (DirectoryStream<Path> files = Files.newDirectoryStream(content)) {
                for (Path file : files) {
                    Files.move(
                            file,
                            target.resolve(file.getFileName()),
                            StandardCopyOption.ATOMIC_MOVE,
                            StandardCopyOption.REPLACE_EXISTING);
                }
            }
        } finally {
            deleteTree(work);
        }
    }

    private void download(Path work) throws IOException {
        try {
            run(work, List.of(aptGet, "download", NAME));
        } catch (IOException first) {
            try {
                downloadWithOwnLists(work);
            } catch (IOException second) {
                first.addSuppressed(second);
                throw first;
            }
        }
    }

    private void downloadWithOwnLists(Path work) throws IOException {
        Path state = Files.createDirectories(work.resolve("state"));
        Files.createDirectories(state.resolve("lists/partial"));
        Path cache = Files.createDirectories(work.resolve("cache"));
        Files.createDirectories(cache.resolve("archives/partial"));
        List<String> own =
                List.of(
                        aptGet,
                        "-o",
                        "Dir::State::lists=" + state.resolve("lists"),
                        "-o",
                        "Dir::Cache=" + cache);
        List<String> update = new ArrayList<>(own);
        update.add("update");
        run(work, update);
        List<String> download = new ArrayList<>(own);
        download.addAll(List.of("download", NAME));
        run(work, download);
    }

    private void run(Path folder, List<String> command) throws IOException {
        Path log = folder.resolve("log");
        Process process =
                new ProcessBuilder(command)
                        .directory(folder.toFile())
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
        process.getOutputStream().close();
        try {
            if (!process.waitFor(timeout.toMillis(), TimeUnit.MILLISECONDS)) {
                throw new IOException(
                        command.get(0) + " took more than " + timeout.toSeconds() + " s");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException(command.get(0) + " was interrupted", e);
        } finally {
            process.destroy();
        }
        if (process.exitValue() != 0) {
            throw new IOException(
                    String.join(" ", command.subList(0, Math.min(2, command.size())))
                            + ": "
                            + lastLine(log, "status " + process.exitValue()));
        }
    }

    private static String lastLine(Path log, String fallback) throws IOException {
        String text = new String(Files.readAllBytes(log), StandardCharsets.UTF_8).strip();
        return text.isEmpty() ? fallback : text.substring(text.lastIndexOf('\n') + 1);
    }

    private static Path onlyPackage(Path folder) throws IOException {
        try (DirectoryStream<Path> packages = Files.newDirectoryStream(folder, NAME + "*.deb")) {
            for (Path file : packages) {
                return file;
            }
        }
        throw new IOException("apt-get download left no " + NAME + " package");
    }

    private static void deleteTree(Path root) throws IOException {
        try (var walk = Files.walk(root)) {
            List<Path> deepestFirst = walk.sorted((a, b) -> b.compareTo(a)).toList();
            for (Path path : deepestFirst) {
                Files.delete(path);
            }
        }
    }
}
