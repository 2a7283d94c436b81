// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import java.util.TimeZone;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.cli.data.CacheFolder;
import org.lngd4j.cli.data.IdxWriter;

/** Where natives are unpacked to, and what a user is told where that cannot be done. */
class NativesFolderTest {
    private final Properties properties = (Properties) System.getProperties().clone();
    private final TimeZone zone = TimeZone.getDefault();

    @TempDir Path folder;

    @AfterEach
    void restore() {
        System.setProperties(properties);
        TimeZone.setDefault(zone);
    }

    @Test
    void eachTimeZoneHasAFolderOfItsOwn() {
        Path root = CacheFolder.of(System.getenv(), "javacpp");
        assertThat(chosenIn("Europe/Berlin")).isEqualTo(root.resolve("Europe_Berlin").toString());
        assertThat(chosenIn("GMT-05:00")).isEqualTo(root.resolve("GMT-05_00").toString());
    }

    private static String chosenIn(String zone) {
        System.clearProperty(NativesFolder.PROPERTY);
        TimeZone.setDefault(TimeZone.getTimeZone(zone));
        NativesFolder.choose();
        return System.getProperty(NativesFolder.PROPERTY);
    }

    @Test
    void whatTheUserHasSetStays() {
        System.setProperty(NativesFolder.PROPERTY, "/somewhere");
        System.setProperty("org.bytedeco.javacpp.canCreateSymbolicLink", "true");
        NativesFolder.choose();
        assertThat(System.getProperty(NativesFolder.PROPERTY)).isEqualTo("/somewhere");
        assertThat(System.getProperty("org.bytedeco.javacpp.canCreateSymbolicLink"))
                .isEqualTo("true");
    }

    @Test
    void theMountOfAFolderIsTheDeepestAndLast() {
        List<String> mounts =
                List.of(
                        "/dev/vda / ext4 rw,relatime 0 0",
                        "tmpfs /home/a\\040b tmpfs rw,noexec,relatime 0 0",
                        "tmpfs /home/a\\040b/c tmpfs rw 0 0",
                        "tmpfs /twice tmpfs rw,noexec 0 0",
                        "tmpfs /twice tmpfs rw 0 0",
                        "damaged");
        assertThat(NativesFolder.isNoexec(Path.of("/home/a b/x"), mounts)).isTrue();
        assertThat(NativesFolder.isNoexec(Path.of("/home/a b"), mounts)).isTrue();
        assertThat(NativesFolder.isNoexec(Path.of("/home/a b/c/x"), mounts)).isFalse();
        assertThat(NativesFolder.isNoexec(Path.of("/home/a bc"), mounts)).isFalse();
        assertThat(NativesFolder.isNoexec(Path.of("/twice"), mounts)).isFalse();
        assertThat(NativesFolder.isNoexec(Path.of("/etc"), List.of("x / y noexecute"))).isFalse();
    }

    @Test
    void whereNothingCanBeWrittenTheSettingIsNamed() throws Exception {
        Files.writeString(folder.resolve("file"), "");
        assertThat(train(List.of(), folder.resolve("file/natives").toString()))
                .startsWith("lngd: natives cannot be unpacked to " + folder + "/file/natives (")
                .contains("; name another folder with LNGD_JAVA_OPTS=-D")
                .endsWith("-Dorg.bytedeco.javacpp.cachedir=DIR\n")
                .hasLineCount(1);
    }

    /** In a mount namespace of its own, where the kernel allows a user that. */
    @Test
    void aFileSystemThatIsReadOnlyOrNoexecIsNamedBeforeAnythingIsUnpacked() throws Exception {
        Path mount = Files.createDirectory(folder.resolve("mount"));
        assumeTrue(
                new ProcessBuilder("unshare", "-rm", "mount", "-t", "tmpfs", "t", mount.toString())
                                .start()
                                .waitFor()
                        == 0,
                "no mount namespaces here");
        for (String option : List.of("noexec", "ro")) {
            String script = "mount -t tmpfs -o " + option + " t '" + mount + "' && exec \"$@\"";
            String said = train(List.of("unshare", "-rm", "sh", "-c", script, "sh"), mount + "/x");
            assertThat(said).hasLineCount(1).contains("natives cannot be unpacked to " + mount);
            assertThat(said)
                    .contains(
                            option.equals("ro")
                                    ? "Read-only file system"
                                    : "its file system is mounted noexec");
        }
    }

    private String train(List<String> before, String natives) throws Exception {
        Path data = folder.resolve("data");
        IdxWriter.dataset(data, 64, 32, 8, 4);
        Path log = folder.resolve("log");
        Process process =
                NativesProbe.start(
                        log.toFile(),
                        before,
                        "org.lngd4j.cli.Main",
                        List.of("-D" + NativesFolder.PROPERTY + "=" + natives),
                        "train",
                        "--data",
                        data.toString(),
                        "--out",
                        folder.resolve("run").toString());
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(Files.readString(log)).isEqualTo(1);
        return Files.readString(log);
    }
}
