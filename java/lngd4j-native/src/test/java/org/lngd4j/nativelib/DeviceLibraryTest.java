// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.nativelib.global.lngd;

/**
 * Where the libraries of devices are looked for, that every reason is kept, and that nothing is
 * done before one is asked for.
 */
class DeviceLibraryTest {
    private static final String FILE = "liblngd_cuda_emulated.so";

    @TempDir Path folder;

    @Test
    void nothingIsOpenedOrExtractedBeforeItIsAskedFor() throws Exception {
        String output =
                ChildJvm.probe(
                        ChildJvm.classPath(),
                        "-Dorg.bytedeco.javacpp.cachedir=" + folder.resolve("cache"));
        assertThat(output).contains("version 0.").doesNotContain("lngd_cuda", "device from");
        try (var files = Files.walk(folder)) {
            assertThat(files).noneMatch(file -> file.toString().contains("lngd_cuda"));
        }
    }

    @Test
    void theEmulatorIsInTheJar() throws Exception {
        String output = ChildJvm.probe(ChildJvm.classPath(), "emulated");
        assertThat(output)
                .contains("emulated loaded true")
                .containsPattern("device from java.library.path: .*: no file " + FILE)
                .containsPattern("device from jar: .*" + FILE + ": loaded")
                .containsPattern("mapped .*" + FILE);
    }

    @Test
    void anExplicitFileIsTaken() throws Exception {
        Path copy =
                Files.copy(
                        ChildJvm.natives().resolve(FILE),
                        folder.resolve("my-lngd_cuda_emulated.so"));
        String option = "-D" + DeviceLibrary.EMULATED_PATH + "=" + copy;
        String output = ChildJvm.probe(ChildJvm.classPath(), option, "emulated");
        assertThat(output)
                .contains("device from " + DeviceLibrary.EMULATED_PATH + ": " + copy + ": loaded")
                .contains("mapped " + copy.toRealPath());
        Map<String, String> variable = Map.of("LNGD_CUDA_EMULATED_LIBRARY", copy.toString());
        assertThat(ChildJvm.probe(variable, ChildJvm.classPath(), "emulated"))
                .contains("device from LNGD_CUDA_EMULATED_LIBRARY: " + copy + ": loaded");
    }

    @Test
    void aFolderWithAllLibrariesServesDevicesToo() throws Exception {
        for (String name : new String[] {"liblngd.so", "libjnilngd.so", FILE}) {
            Files.copy(ChildJvm.natives().resolve(name), folder.resolve(name));
        }
        String option = "-D" + NativeLibrary.LIBRARY_PATH + "=" + folder;
        String output = ChildJvm.probe(ChildJvm.classPathWithoutNatives(), option, "emulated");
        assertThat(output)
                .contains("device from " + NativeLibrary.LIBRARY_PATH + ": " + folder)
                .contains("emulated loaded true");
    }

    @Test
    void whatIsNoLibraryIsReportedAndTheNextPlaceTried() throws Exception {
        Path text = Files.writeString(folder.resolve("text.so"), "not a library");
        String option = "-D" + DeviceLibrary.EMULATED_PATH + "=" + text;
        assertThat(ChildJvm.probe(ChildJvm.classPath(), option, "emulated"))
                .containsPattern(text + ": .*(invalid ELF header|file too short)")
                .contains("device from jar: ", "emulated loaded true");
        // A library, but none of ours.
        Path other = ChildJvm.natives().resolve("liblngd.so");
        String wrong = "-D" + DeviceLibrary.EMULATED_PATH + "=" + other;
        assertThat(ChildJvm.probe(ChildJvm.classPath(), wrong, "emulated"))
                .containsPattern(DeviceLibrary.EMULATED_PATH + ": " + other + ": .*it has no ")
                .contains("device from jar: ", "emulated loaded true");
    }

    @Test
    void withoutTheLibraryEveryReasonIsThere() throws Exception {
        Path here = ChildJvm.natives();
        for (String name : new String[] {"liblngd.so", "libjnilngd.so"}) {
            Files.copy(here.resolve(name), folder.resolve(name));
        }
        String output =
                ChildJvm.probe(
                        ChildJvm.classPathWithoutNatives(),
                        "-D" + NativeLibrary.LIBRARY_PATH + "=" + folder,
                        "-D" + DeviceLibrary.CUDA_PATH + "=/nowhere/cuda.so",
                        "cuda");
        assertThat(output)
                .contains("cuda loaded false", "version 0.")
                .containsPattern("/nowhere/cuda.so: .*No such file")
                .contains(folder + ": no file liblngd_cuda.so")
                .contains("device from jar: ", "it was built without it")
                .contains("device from system: ");
    }

    @Test
    void aMachineWithoutDeviceNodesHasNoCuda() throws Exception {
        assertThat(DeviceLibrary.mayHaveCuda(folder)).isFalse();
        // What a container shows although it was given no device.
        Files.createDirectories(folder.resolve("proc/driver/nvidia"));
        Files.writeString(folder.resolve("proc/driver/nvidia/version"), "NVRM version");
        assertThat(DeviceLibrary.mayHaveCuda(folder)).isFalse();
        Files.createDirectories(folder.resolve("dev"));
        Files.createFile(folder.resolve("dev/nvidiactl"));
        assertThat(DeviceLibrary.mayHaveCuda(folder)).isTrue();
    }

    @Test
    void otherDevicesAreRefused() {
        for (int device : new int[] {-1, lngd.LNGD_DEVICE_AUTO, lngd.LNGD_DEVICE_CPU, 4}) {
            assertThatThrownBy(() -> DeviceLibrary.load(device))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("device is " + device);
        }
    }
}
