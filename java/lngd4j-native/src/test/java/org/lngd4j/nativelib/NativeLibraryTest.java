// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
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
        String output = ChildJvm.probe(ChildJvm.classPath());
        assertThat(output)
                .contains("version 0.")
                .contains("liblngd from jar: ")
                .contains("openblas from ");
        assertThat(output).contains("no file liblngd.so");
    }

    @Test
    void anExplicitFolderIsTaken() throws Exception {
        for (String name : List.of("liblngd.so", "libjnilngd.so")) {
            Files.copy(ChildJvm.natives().resolve(name), folder.resolve(name));
        }
        String output =
                ChildJvm.probe(
                        ChildJvm.classPath(), "-D" + NativeLibrary.LIBRARY_PATH + "=" + folder);
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
        String output =
                ChildJvm.probe(
                        ChildJvm.classPath(), "-D" + NativeLibrary.LIBRARY_PATH + "=" + folder);
        assertThat(output)
                .contains(NativeLibrary.LIBRARY_PATH + ": " + folder + ": no file liblngd.so")
                .contains("liblngd from jar: ")
                .contains("version 0.");
    }

    @Test
    void aBrokenLibraryIsReportedWithTheReasonOfTheLinker() throws Exception {
        Files.writeString(folder.resolve("liblngd.so"), "not a library");
        Files.writeString(folder.resolve("libjnilngd.so"), "not a library");
        String output = ChildJvm.probe(ChildJvm.classPath(), "-Djava.library.path=" + folder);
        assertThat(output)
                .containsPattern("java.library.path: .*(invalid ELF header|file too short)");
        assertThat(output).contains("liblngd from jar: ").contains("version 0.");
    }

    /** In a mount namespace of its own, where the kernel allows a user that. */
    @Test
    void aFolderThatIsMountedNoexecIsSuspectedAndTheSettingNamed() throws Exception {
        assumeTrue(
                new ProcessBuilder("unshare", "-rm", "true").start().waitFor() == 0,
                "no mount namespaces here");
        String script =
                "mount -t tmpfs -o noexec t \"$1\" && cp \"$2\"/*.so \"$1\" && shift 2 && exec \"$@\"";
        Path log = folder.resolve("log");
        Path mount = Files.createDirectory(folder.resolve("mount"));
        Process process =
                new ProcessBuilder(
                                "unshare",
                                "-rm",
                                "sh",
                                "-c",
                                script,
                                "sh",
                                mount.toString(),
                                ChildJvm.natives().toString(),
                                System.getProperty("java.home") + "/bin/java",
                                "-D" + NativeLibrary.LIBRARY_PATH + "=" + mount,
                                "-cp",
                                ChildJvm.classPathWithoutNatives(),
                                LoaderProbe.class.getName())
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(Files.readString(log))
                .containsPattern(
                        mount
                                + ": .*failed to map segment from shared object; is its file system"
                                + " mounted noexec\\? Another folder to unpack to is named with"
                                + " -Dorg.bytedeco.javacpp.cachedir=DIR");
    }

    @Test
    void withoutNativesTheExceptionListsEverything() throws Exception {
        String without = ChildJvm.classPathWithoutNatives();
        String output = ChildJvm.probe(without, "-D" + NativeLibrary.LIBRARY_PATH + "=/nowhere");
        assertThat(output)
                .contains("threw cannot load the native library")
                .contains("/nowhere: no file liblngd.so")
                .contains("no natives for linux-x86_64 on the class path");
    }

    @Test
    void anOpenBlasThatIsNoneIsReportedAndThePrivateCopyTaken() throws Exception {
        Path file = Files.writeString(folder.resolve("libopenblas.so.0"), "not a library");
        String output =
                ChildJvm.probe(
                        ChildJvm.classPath(), "-D" + NativeLibrary.OPENBLAS_PATH + "=" + file);
        assertThat(output)
                .contains("openblas from " + NativeLibrary.OPENBLAS_PATH + ": " + file + ": ")
                .containsPattern("mapped .*lngd4j/openblas-renamed-[0-9a-f-]+/liblngdblas.so.0");
    }

    @Test
    void classesThatAreInitialisedAtOnceDoNotLockUp() throws Exception {
        for (int i = 0; i < 3; i++) {
            String output = ChildJvm.probe(ChildJvm.classPath(), "race");
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
}
