// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.lngd4j.Device;
import org.lngd4j.LngdInfo;
import org.lngd4j.cli.bench.BenchReport;
import org.lngd4j.cli.support.Versions;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * {@code lngd bench}: builds and runs the benchmarks of the native kernels, which are programs of
 * their own (bench/native, bench/gpu): a JVM beside them would only disturb. With {@code --from} it
 * makes tables and a picture of what an earlier run wrote.
 */
@Command(
        name = "bench",
        description = {
            "Times the native kernels on this machine, beside what OpenBLAS, or PyTorch, would do.",
            "Nothing else should run meanwhile. Exit status: 0 done, 1 a result was wrong, 2 it cannot be run."
        },
        mixinStandardHelpOptions = true)
final class BenchCommand implements Callable<Integer> {
    @Option(
            names = "--device",
            paramLabel = "cpu|cuda",
            defaultValue = "cpu",
            description =
                    "cpu (default): bench/native; cuda: bench/gpu/run.sh first, which needs nvcc and PyTorch.")
    private String device;

    @Option(names = "--quick", description = "Less than a minute: fewer and shorter cases.")
    private boolean quick;

    @Option(
            names = "--threads",
            paramLabel = "LIST",
            description = "Thread counts, for example 1,2 (default: 1 and all processors).")
    private String threads;

    @Option(
            names = "--kernel",
            paramLabel = "NAME",
            description = "Only kernels whose name holds this.")
    private String kernel;

    @Option(
            names = "--set",
            paramLabel = "NAME",
            description = "Only layer sets whose name holds this.")
    private String set;

    @Option(
            names = "--json",
            arity = "0..1",
            fallbackValue = "-",
            paramLabel = "FILE",
            description =
                    "The results as one JSON object with machine and results, to FILE or standard output; the table goes to standard error.")
    private String json;

    @Option(
            names = "--from",
            paramLabel = "FILE",
            description =
                    "Times nothing: makes Markdown, on standard output where neither --table nor --plot is given, of what --json wrote.")
    private Path from;

    @Option(
            names = "--table",
            paramLabel = "FILE.md",
            description = "With --from: the Markdown goes to this file.")
    private Path table;

    @Option(
            names = "--plot",
            paramLabel = "FILE.png",
            description = "With --from: a picture of our times over the peers' goes to this file.")
    private Path plot;

    @Override
    public Integer call() throws IOException, InterruptedException {
        if (from != null) {
            return report();
        }
        if (table != null || plot != null) {
            throw CliException.badInput(
                    (table != null ? "--table " + table : "--plot " + plot)
                            + ": allowed only with --from FILE, what --json wrote");
        }
        String root = System.getProperty("org.lngd4j.root");
        if (root == null) {
            throw CliException.badInput(
                    "bench: the benchmarks are built from the source tree: start this with its command ./lngd");
        }
        return switch (device) {
            case "cpu" -> cpu(Path.of(root));
            case "cuda" -> cuda(Path.of(root));
            default ->
                    throw CliException.badInput(
                            "--device " + device + ": there are cpu and cuda for benchmarks");
        };
    }

    private int report() {
        if (!device.equals("cpu")
                || quick
                || threads != null
                || kernel != null
                || set != null
                || json != null) {
            throw CliException.badInput(
                    "--from "
                            + from
                            + ": nothing is timed, so only --table and --plot are allowed with it");
        }
        BenchReport.write(from, table, plot, System.out, System.err);
        return 0;
    }

    private int cpu(Path root) throws IOException, InterruptedException {
        LngdInfo.Backend cpu = LngdInfo.backend(Device.CPU);
        if (!cpu.available()) {
            throw CliException.badInput("bench: the CPU backend cannot be used: " + cpu.reason());
        }
        List<String> command = new ArrayList<>(List.of(build(root)));
        command.addAll(List.of("--layers", root.resolve("bench/layers").toString()));
        if (quick) {
            command.add("--quick");
        }
        add(command, "--threads", threads);
        add(command, "--kernel", kernel);
        add(command, "--set", set);
        add(command, "--json", json);
        // The same OpenBLAS that the library uses in a JVM.
        return run(command, Map.of("LNGD_OPENBLAS", cpu.blasPath()));
    }

    private static void add(List<String> command, String option, String value) {
        if (value != null) {
            command.addAll(List.of(option, value));
        }
    }

    /** Builds the program and gives its path, the last line that the script prints. */
    private static String build(Path root) throws IOException, InterruptedException {
        Path folder = root.resolve("target/bench");
        Files.createDirectories(folder);
        System.err.println("lngd: building the benchmarks in " + folder);
        Process process =
                new ProcessBuilder(
                                root.resolve("native/build.sh").toString(),
                                "bench",
                                folder.toString())
                        .redirectError(ProcessBuilder.Redirect.INHERIT)
                        .start();
        String last = "";
        try (BufferedReader out = process.inputReader(StandardCharsets.UTF_8)) {
            for (String line = out.readLine(); line != null; line = out.readLine()) {
                last = line;
            }
        }
        if (process.waitFor() != 0) {
            throw CliException.badInput("bench: the benchmarks could not be built (see above)");
        }
        return last;
    }

    private int cuda(Path root) throws IOException, InterruptedException {
        LngdInfo.Backend cuda = LngdInfo.backend(Device.CUDA);
        if (!cuda.available()) {
            throw CliException.badInput("--device cuda: " + cuda.reason());
        }
        if (quick || threads != null || kernel != null || set != null || json != null) {
            throw CliException.badInput(
                    "--device cuda takes no other option: bench/gpu/run.sh first times them all and writes results.json");
        }
        return run(List.of(root.resolve("bench/gpu/run.sh").toString(), "first"), Map.of());
    }

    private static int run(List<String> command, Map<String, String> environment)
            throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
        builder.environment().putAll(environment);
        String commit = Versions.gitCommit();
        builder.environment().put("LNGD_COMMIT", commit == null ? "unknown" : commit);
        return builder.start().waitFor();
    }
}
