// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** Starts a JVM, since a library is loaded once in a JVM, and reads its environment. */
final class ChildJvm {
    private ChildJvm() {}

    /** The folder that this JVM has its natives from. */
    static Path natives() {
        NativeLibrary.load();
        return NativeLibrary.report().library().stream()
                .filter(LoadReport.Attempt::success)
                .map(attempt -> Path.of(attempt.path()).getParent())
                .findFirst()
                .orElseThrow();
    }

    private static boolean holdsNatives(String entry) {
        Path path = Path.of(entry);
        return entry.contains("lngd4j-native") && entry.endsWith("linux-x86_64.jar")
                || Files.exists(path.resolve("org/lngd4j/nativelib/global/linux-x86_64"));
    }

    static String classPath() {
        return System.getProperty(
                "surefire.test.class.path", System.getProperty("java.class.path"));
    }

    static String classPathWithoutNatives() {
        return Arrays.stream(classPath().split(File.pathSeparator))
                .filter(entry -> !holdsNatives(entry))
                .collect(Collectors.joining(File.pathSeparator));
    }

    /** Options that start with a minus go to the JVM, the others to the probe. */
    static String probe(String classPath, String... options)
            throws IOException, InterruptedException {
        return probe(Map.of(), classPath, options);
    }

    static String probe(Map<String, String> environment, String classPath, String... options)
            throws IOException, InterruptedException {
        return run(LoaderProbe.class, environment, classPath, options);
    }

    /** Runs the main method of a class; everything that it writes. */
    static String run(
            Class<?> main, Map<String, String> environment, String classPath, String... options)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        Arrays.stream(options).filter(o -> o.startsWith("-")).forEach(command::add);
        command.addAll(List.of("-cp", classPath, main.getName()));
        Arrays.stream(options).filter(o -> !o.startsWith("-")).forEach(command::add);
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment()
                .keySet()
                .removeIf(name -> name.startsWith("LNGD_") && !name.equals("LNGD_CPU"));
        builder.environment().putAll(environment);
        Path log = Files.createTempFile("lngd-probe", ".log");
        Process process = builder.redirectOutput(log.toFile()).start();
        try {
            boolean ended = process.waitFor(60, TimeUnit.SECONDS);
            String output = Files.readString(log, StandardCharsets.UTF_8);
            assertThat(ended).as("the JVM ended; it wrote %s", output).isTrue();
            assertThat(process.exitValue()).as(output).isZero();
            return output;
        } finally {
            process.destroyForcibly();
            Files.delete(log);
        }
    }
}
