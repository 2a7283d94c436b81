// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.cli.data.IdxWriter;

/**
 * The command as a process of its own: exit statuses, streams and signals as a user's shell sees
 * them.
 */
class ProcessTest {
    @TempDir Path folder;

    private Path data;

    @BeforeEach
    void writeDataset() throws IOException {
        data = folder.resolve("data");
        IdxWriter.dataset(data, 2000, 100, 8, 4);
    }

    @ParameterizedTest
    @ValueSource(strings = {"INT", "TERM"})
    void aSignalLeavesACheckpointThatGoesOn(String signal) throws Exception {
        assumeFalse(
                signal.equals("INT") && interruptIsIgnored(),
                "SIGINT is ignored here, as in a shell's background jobs, and children inherit that");
        Path run = folder.resolve("run");
        Process process = start(endless(run));
        await(run.resolve("checkpoint.zip"), process);
        new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();

        checkStopped(process, run, "err");
    }

    /** On a terminal there is a progress bar, and Ctrl-C is a character that the terminal reads. */
    @Test
    void controlCOnATerminalLeavesACheckpointThatGoesOn() throws Exception {
        assumeFalse(interruptIsIgnored(), "SIGINT is ignored here, and children inherit that");
        Path run = folder.resolve("run");
        String line =
                command(endless(run)).stream()
                        .map(word -> "'" + word + "'")
                        .collect(Collectors.joining(" "));
        // Of util-linux: runs a command on a terminal of its own, which reads what script reads.
        Process process = start(List.of("script", "-qefc", line, "/dev/null"));
        await(run.resolve("checkpoint.zip"), process);
        assertThat(Files.readString(folder.resolve("out"))).contains("training");
        process.getOutputStream().write(3);
        process.getOutputStream().flush();

        checkStopped(process, run, "out");
    }

    /** Far more epochs than the time of the test: only a signal can end it. */
    private String[] endless(Path run) {
        return new String[] {
            "train",
            "--data",
            data.toString(),
            "--optimizer",
            "sgd",
            "--epochs",
            "100000",
            "--batch",
            "100",
            "--model",
            "mlp:8",
            "--eval-every",
            "1",
            "--out",
            run.toString()
        };
    }

    private void checkStopped(Process process, Path run, String stream) throws Exception {
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        String said = Files.readString(folder.resolve(stream));
        assertThat(process.exitValue()).as(said).isEqualTo(130);
        assertThat(said).contains("go on with: lngd train --resume " + run);
        Checkpoint checkpoint = Checkpoint.read(run.resolve("checkpoint.zip"));
        assertThat(checkpoint.position().step()).isPositive();
        List<String> rows = Files.readAllLines(run.resolve("metrics.csv"));
        MetricsRow last = MetricsRow.parse(rows.get(rows.size() - 1));
        assertThat(checkpoint.position().step()).isGreaterThanOrEqualTo(last.step());
        assertThat(run.resolve("model.zip")).doesNotExist();
    }

    private static boolean interruptIsIgnored() throws IOException {
        try (Stream<String> status = Files.lines(Path.of("/proc/self/status"))) {
            String mask =
                    status.filter(line -> line.startsWith("SigIgn:"))
                            .map(line -> line.substring(line.indexOf(':') + 1).trim())
                            .findFirst()
                            .orElse("0");
            return (Long.parseUnsignedLong(mask, 16) & 2) != 0; // bit 1: signal 2
        }
    }

    @Test
    void aWholeRunPrintsOnlyItsTableAndItsProgress() throws Exception {
        Path run = folder.resolve("run");
        Process process =
                start(
                        "train",
                        "--data",
                        data.toString(),
                        "--optimizer",
                        "adam",
                        "--epochs",
                        "2",
                        "--out",
                        run.toString());

        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        String err = Files.readString(folder.resolve("err"));
        assertThat(process.exitValue()).as(err).isZero();
        // No logs of the libraries: one line about the run, one for each of the four evaluations.
        assertThat(err.lines()).hasSize(5);
        assertThat(err.lines().skip(1))
                .allMatch(line -> line.startsWith("epoch ") && line.contains("samples/s"));
        assertThat(Files.readString(folder.resolve("out")).lines()).hasSize(8);
    }

    @Test
    void anErrorIsOneLineWithoutAStackTrace() throws Exception {
        Process process =
                start("train", "--data", folder.resolve("none").toString(), "--optimizer", "adam");

        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(2);
        assertThat(Files.readString(folder.resolve("err")))
                .isEqualTo("lngd: " + folder.resolve("none") + ": no such folder\n");
    }

    private static List<String> command(String... arguments) {
        List<String> command =
                new ArrayList<>(
                        List.of(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-XX:+UseSerialGC",
                                "-cp",
                                System.getProperty("java.class.path"),
                                "org.lngd4j.cli.Main"));
        command.addAll(Arrays.asList(arguments));
        return command;
    }

    private Process start(String... arguments) throws IOException {
        return start(command(arguments));
    }

    private Process start(List<String> command) throws IOException {
        ProcessBuilder builder =
                new ProcessBuilder(command)
                        .directory(folder.toFile())
                        .redirectOutput(folder.resolve("out").toFile())
                        .redirectError(folder.resolve("err").toFile());
        builder.environment()
                .putAll(
                        Map.of(
                                "OMP_NUM_THREADS",
                                "1",
                                "OPENBLAS_NUM_THREADS",
                                "1",
                                "TERM",
                                "xterm"));
        builder.environment()
                .keySet()
                .removeAll(List.of("OPENBLAS_CORETYPE", "LNGD_DEBUG", "JAVA_TOOL_OPTIONS"));
        return builder.start();
    }

    private void await(Path file, Process process) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (!Files.exists(file)) {
            assertThat(process.isAlive()).as(Files.readString(folder.resolve("err"))).isTrue();
            assertThat(System.nanoTime()).isLessThan(deadline);
            Thread.sleep(20);
        }
    }
}
