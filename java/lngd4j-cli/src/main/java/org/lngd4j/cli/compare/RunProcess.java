// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.Main;
import org.lngd4j.cli.train.MetricsRow;
import org.lngd4j.cli.train.StopSignal;

/**
 * Runs {@code lngd train} in a JVM of its own, one after the other. In one JVM the first optimizer
 * would pay for loading and compiling what the others then use, the heap and the caches of native
 * memory would carry over, and one crash would end all. The start of a JVM is outside of the
 * training clock; its warm-up is inside, and the same for all.
 */
final class RunProcess {
    private static final long POLL_MILLIS = 200;
    private static final String DIVERGED = "training diverged";

    private final RunStore store;
    private final StopSignal stop;

    RunProcess(RunStore store, StopSignal stop) {
        this.store = store;
        this.stop = stop;
    }

    /**
     * Runs to the end, from the checkpoint where there is one.
     *
     * @param progress is told the steps done, now and then
     * @return whether it ended; false where it was stopped
     */
    boolean execute(PlannedRun run, LongConsumer progress) {
        try {
            int status = await(start(run), run, progress);
            if (status == StopSignal.EXIT_STATUS) {
                return false;
            }
            String message = lastLine(store.log(run));
            if (status == CliException.FAILURE && message.contains(DIVERGED)) {
                store.markDiverged(run, message);
                return true;
            }
            if (status != 0) {
                String told = run.label() + ": " + message.replaceFirst("^lngd: ", "");
                throw status == CliException.BAD_INPUT
                        ? CliException.badInput(told)
                        : CliException.failure(told + " (log: " + store.log(run) + ")");
            }
            return true;
        } catch (IOException e) {
            throw CliException.failure(run.label() + ": " + e, e);
        }
    }

    private Process start(PlannedRun run) throws IOException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(List.of("-cp", System.getProperty("java.class.path")));
        command.addAll(List.of(Main.class.getName(), "train"));
        if (store.isBegun(run)) {
            command.addAll(List.of("--resume", store.folder(run).toString()));
        } else {
            command.addAll(run.settings().toArguments());
            command.addAll(List.of("--out", store.folder(run).toString()));
        }
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(store.log(run).toFile())
                .start();
    }

    private int await(Process process, PlannedRun run, LongConsumer progress) {
        try {
            while (!process.waitFor(POLL_MILLIS, TimeUnit.MILLISECONDS)) {
                // Ctrl-C reaches the child by itself, a signal to this process alone does not.
                if (stop.requested()) {
                    process.destroy();
                }
                List<MetricsRow> rows = store.rows(run);
                if (!rows.isEmpty()) {
                    progress.accept(rows.get(rows.size() - 1).step());
                }
            }
            return process.exitValue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            process.destroy();
            return StopSignal.EXIT_STATUS;
        } finally {
            if (process.isAlive()) {
                process.destroy();
            }
        }
    }

    private static String lastLine(Path log) throws IOException {
        List<String> lines = Files.readAllLines(log);
        return lines.isEmpty() ? "no message" : lines.get(lines.size() - 1);
    }
}
