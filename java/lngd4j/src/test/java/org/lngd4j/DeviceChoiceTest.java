// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * What AUTO becomes where there is a CUDA device: JVMs of their own, which take the emulator for
 * it.
 */
class DeviceChoiceTest {
    private static final String WARNING = "LNGD runs on the CPU: ";

    @TempDir Path folder;

    @Test
    void aDeviceThatGivesKnownAnswersIsTaken() throws Exception {
        List<String> lines = probe(Map.of());
        assertThat(lines).contains("choice CUDA reason ", "cuda runs on CUDA", "cpu runs on CPU");
        assertThat(lines).filteredOn("auto runs on CUDA"::equals).hasSize(2);
        assertThat(lines).noneMatch(line -> line.contains(WARNING));
        assertThat(lines).anyMatch(line -> line.matches("info .* CUDA: available .*"));
    }

    @Test
    void aDeviceThatComputesWrongAnswersIsLeftToTheCpuWithAWarning() throws Exception {
        List<String> lines = probe(Map.of("LNGD_CUDA_WRONG_ANSWER", "mma_tf32"));
        String wrong = "device 0 computes wrong answers: mma_tf32 gave ";
        assertThat(lines).anyMatch(line -> line.startsWith("choice CPU reason " + wrong));
        assertThat(lines).filteredOn("auto runs on CPU"::equals).hasSize(2);
        // Said once, although two optimizers were made.
        assertThat(lines).filteredOn(line -> line.contains(WARNING + wrong)).hasSize(1);
        assertThat(lines)
                .anyMatch(
                        line -> line.matches("cuda threw LngdBackendException .*" + wrong + ".*"));
        assertThat(lines)
                .anyMatch(line -> line.matches("info .* CUDA: not available: " + wrong + ".*"));
    }

    @Test
    void aSmallStepIsAskedToo() throws Exception {
        List<String> lines = probe(Map.of("LNGD_CUDA_WRONG_ANSWER", "step"));
        assertThat(lines)
                .anyMatch(
                        line ->
                                line.startsWith("choice CPU reason ")
                                        && line.contains("a small step gave"));
    }

    @Test
    void deviceAndReasonOfThisMachine() {
        DeviceChoice cpu = DeviceChoice.of(LngdOptions.recipe(10).device(Device.CPU).build());
        assertThat(cpu).isEqualTo(new DeviceChoice(Device.CPU, ""));
        Device emulated = Device.CUDA_EMULATED;
        assertThat(DeviceChoice.of(LngdOptions.recipe(10).device(emulated).build()).device())
                .isEqualTo(emulated);
        assertThatThrownBy(
                        () -> DeviceChoice.of(LngdOptions.recipe(10).device(emulated, 99).build()))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("device_index is 99");
    }

    private List<String> probe(Map<String, String> environment) throws Exception {
        String emulator = LngdInfo.backend(Device.CUDA_EMULATED).cuda().library();
        Path log = folder.resolve("probe.log");
        ProcessBuilder builder =
                new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty(
                                "surefire.test.class.path", System.getProperty("java.class.path")),
                        ChoiceProbe.class.getName());
        builder.environment().put("LNGD_CUDA_LIBRARY", emulator);
        builder.environment().putAll(environment);
        Process process = builder.redirectErrorStream(true).redirectOutput(log.toFile()).start();
        try {
            boolean ended = process.waitFor(60, TimeUnit.SECONDS);
            String output = read(log);
            assertThat(ended).as("the JVM ended; it wrote %s", output).isTrue();
            assertThat(process.exitValue()).as(output).isZero();
            return output.lines().toList();
        } finally {
            process.destroyForcibly();
        }
    }

    private static String read(Path log) throws IOException {
        return Files.readString(log, StandardCharsets.UTF_8);
    }
}
