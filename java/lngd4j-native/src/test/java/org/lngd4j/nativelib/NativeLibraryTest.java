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
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Where the libraries are looked for, and that every reason is kept. Each case has a JVM of its
 * own.
 */
class NativeLibraryTest {
    @TempDir Path folder;

    @Test
    void theJarIsTheLastResort() throws Exception {
        String output = probe(classPath());
        assertThat(output)
                .contains("version 0.")
                .contains("liblngd from jar: ")
                .contains("openblas from ");
        assertThat(output).contains("no file liblngd.so");
    }

    @Test
    void anExplicitFolderIsTaken() throws Exception {
        for (String name : List.of("liblngd.so", "libjnilngd.so")) {
            Files.copy(natives().resolve(name), folder.resolve(name));
        }
        String output = probe(classPath(), "-D" + NativeLibrary.LIBRARY_PATH + "=" + folder);
        assertThat(output)
                .contains("version 0.")
                .contains(NativeLibrary.LIBRARY_PATH + ": " + folder);
        // One copy of each in the process: the generated classes have not loaded the jar's beside
        // it.
        assertThat(
                        output.lines()
                                .filter(
                                        line ->
                                                line.startsWith("mapped")
                                                        && line.contains("lngd.so")))
                .hasSize(2)
                .allMatch(line -> line.contains(folder.toString()));
    }

    @Test
    void aFolderWithoutTheLibraryIsReported() throws Exception {
        String output = probe(classPath(), "-D" + NativeLibrary.LIBRARY_PATH + "=" + folder);
        assertThat(output)
                .contains(NativeLibrary.LIBRARY_PATH + ": " + folder + ": no file liblngd.so")
                .contains("liblngd from jar: ")
                .contains("version 0.");
    }

    @Test
    void aBrokenLibraryIsReportedWithTheReasonOfTheLinker() throws Exception {
        Files.writeString(folder.resolve("liblngd.so"), "not a library");
        Files.writeString(folder.resolve("libjnilngd.so"), "not a library");
        String output = probe(classPath(), "-Djava.library.path=" + folder);
        assertThat(output)
                .containsPattern("java.library.path: .*(invalid ELF header|file too short)");
        assertThat(output).contains("liblngd from jar: ").contains("version 0.");
    }

    @Test
    void withoutNativesTheExceptionListsEverything() throws Exception {
        String without =
                Arrays.stream(classPath().split(File.pathSeparator))
                        .filter(entry -> !holdsNatives(entry))
                        .collect(Collectors.joining(File.pathSeparator));
        String output = probe(without, "-D" + NativeLibrary.LIBRARY_PATH + "=/nowhere");
        assertThat(output)
                .contains("threw cannot load the native library")
                .contains("/nowhere: no file liblngd.so")
                .contains("no natives for linux-x86_64 on the class path");
    }

    @Test
    void anOpenBlasThatIsNoneIsReportedAndThePrivateCopyTaken() throws Exception {
        Path file = Files.writeString(folder.resolve("libopenblas.so.0"), "not a library");
        String output = probe(classPath(), "-D" + NativeLibrary.OPENBLAS_PATH + "=" + file);
        assertThat(output)
                .contains("openblas from " + NativeLibrary.OPENBLAS_PATH + ": " + file + ": ")
                .containsPattern("mapped .*lngd4j/openblas-renamed-[0-9a-f-]+/liblngdblas.so.0");
    }

    @Test
    void classesThatAreInitialisedAtOnceDoNotLockUp() throws Exception {
        for (int i = 0; i < 3; i++) {
            String output = probe(classPath(), "race");
            assertThat(output.lines().filter("served"::equals)).hasSize(4);
            assertThat(output.lines().filter(line -> line.contains("liblngd from jar"))).hasSize(1);
        }
    }

    @Test
    void loadingAgainChangesNothing() {
        NativeLibrary.load();
        LoadReport report = NativeLibrary.report();
        NativeLibrary.load();
        assertThat(NativeLibrary.report()).isEqualTo(report);
        assertThat(report.loaded()).isTrue();
        assertThat(report.version()).startsWith("0.");
        assertThat(report.toString()).contains("liblngd.so");
    }

    private static Path natives() {
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

    private static String classPath() {
        NativeLibrary.load();
        return System.getProperty(
                "surefire.test.class.path", System.getProperty("java.class.path"));
    }

    private static String probe(String classPath, String... options)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        Arrays.stream(options).filter(o -> o.startsWith("-")).forEach(command::add);
        command.addAll(List.of("-cp", classPath, LoaderProbe.class.getName()));
        Arrays.stream(options).filter(o -> !o.startsWith("-")).forEach(command::add);
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().remove("LNGD_OPENBLAS");
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
