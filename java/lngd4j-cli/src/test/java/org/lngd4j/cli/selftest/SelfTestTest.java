// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.selftest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.Device;
import org.lngd4j.LngdInfo;
import org.lngd4j.cli.golden.GoldenFile;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.train.CommandResult;

class SelfTestTest {
    private static final String NAME = "lngd_relu_expected.json";

    @TempDir Path folder;

    private Map<String, Object> content;

    @BeforeEach
    void readBuiltIn() throws IOException {
        try (InputStream in = GoldenFile.class.getResourceAsStream("vectors/" + NAME)) {
            content = Json.readObject(new String(in.readAllBytes(), StandardCharsets.UTF_8));
        }
    }

    @Test
    void passesOnThisMachine() {
        CommandResult result = CommandResult.of("selftest", "--device", "cpu");

        assertThat(result.err()).isEmpty();
        assertThat(result.status()).isZero();
        assertThat(result.out().lines()).hasSize(15).allMatch(line -> line.startsWith("ok   "));
    }

    @Test
    void oneLineAFileWithTheErrorOfEachField() throws IOException {
        write("a.json");
        write("b.json");

        CommandResult result =
                CommandResult.of("selftest", "--device", "cpu", "--golden", folder.toString());

        assertThat(result.status()).isZero();
        List<String> lines =
                result.out()
                        .lines()
                        .filter(line -> line.contains(".json") && !line.contains("built-in"))
                        .toList();
        assertThat(lines).hasSize(2);
        assertThat(lines.get(0)).startsWith("ok   a.json:");
        for (Object field : ((Map<?, ?>) content.get("expected")).keySet()) {
            assertThat(lines.get(1)).contains(" " + field);
        }
    }

    @Test
    void aPlantedErrorInAnyFieldGivesStatusOne() throws IOException {
        Map<String, Object> expected = expected();
        for (String field : List.of("r", "psi", "trace_F")) {
            Object good = expected.get(field);
            expected.put(field, changed(good));
            Path file = write("planted.json");
            CommandResult result =
                    CommandResult.of("selftest", "--device", "cpu", "--golden", file.toString());
            expected.put(field, good);

            assertThat(result.status()).as(field).isEqualTo(1);
            assertThat(result.out().lines().filter(line -> line.startsWith("FAIL planted.json:")))
                    .hasSize(1);
            assertThat(result.out())
                    .containsPattern(" " + field + " [0-9.e-]+ \\(TOO LARGE: allowed ");
        }
    }

    @Test
    void absentFieldsAreSkippedUnknownOnesAreAnError() throws IOException {
        expected().keySet().removeIf(field -> !field.equals("r"));
        Path few = write("few.json");
        assertThat(
                        CommandResult.of("selftest", "--device", "cpu", "--golden", few.toString())
                                .status())
                .isZero();

        expected().put("surprise", 1.0);
        Path unknown = write("unknown.json");
        CommandResult result = CommandResult.of("selftest", "--golden", unknown.toString());
        assertThat(result.status()).isEqualTo(2);
        assertThat(result.err().lines()).hasSize(1);
        assertThat(result.err())
                .contains("unknown.json")
                .contains("unknown field expected.surprise");
    }

    @Test
    void unusableFilesGiveStatusTwo() throws IOException {
        Path text = Files.writeString(folder.resolve("text.json"), "no json at all");
        Path half = write("half.json");
        Files.write(half, Arrays.copyOf(Files.readAllBytes(half), 1000));
        Path empty = Files.createDirectory(folder.resolve("empty"));
        for (Path path : List.of(text, half, empty, folder.resolve("none"))) {
            CommandResult result = CommandResult.of("selftest", "--golden", path.toString());
            assertThat(result.status()).as("%s", path).isEqualTo(2);
            assertThat(result.err().lines()).as("%s", path).hasSize(1);
        }
        CommandResult device = CommandResult.of("selftest", "--device", "tpu");
        assertThat(device.status()).isEqualTo(2);
        assertThat(device.err()).contains("--device tpu: must be auto, cpu, cuda, emulated");
    }

    @Test
    void aDeviceThatCannotBeUsedIsOneLineWithItsReason() {
        LngdInfo.Backend cuda = LngdInfo.backend(Device.CUDA);
        assumeFalse(cuda.available(), "CUDA can be used here");
        for (String command : List.of("selftest", "train")) {
            CommandResult result = CommandResult.of(command, "--device", "cuda");
            assertThat(result.status()).as(command).isEqualTo(2);
            assertThat(result.err().lines()).as(command).hasSize(1);
            assertThat(result.err()).contains("--device cuda: ").contains(cuda.reason());
            assertThat(result.out()).isEmpty();
        }
    }

    /** The kernels of the CUDA backend, on the emulator. */
    @Test
    void passesOnTheEmulatorToo() {
        CommandResult result = CommandResult.of("selftest", "--device", "emulated");

        assertThat(result.err()).isEmpty();
        assertThat(result.out().lines())
                .hasSize(15)
                .allMatch(line -> line.startsWith("ok   emulated: "));
        assertThat(result.status()).isZero();
    }

    @Test
    void jsonIsOneObject() throws IOException {
        expected().put("r", changed(expected().get("r")));
        Path file = write("planted.json");

        CommandResult result =
                CommandResult.of(
                        "selftest", "--device", "cpu", "--json", "--golden", file.toString());

        assertThat(result.status()).isEqualTo(1);
        Map<String, Object> report = Json.readObject(result.out());
        assertThat(report).containsEntry("passed", false).containsKeys("quick", "golden");
        List<?> golden = (List<?>) report.get("golden");
        assertThat(golden).hasSize(11);
        assertThat((Map<?, ?>) golden.get(10))
                .satisfies(
                        last -> {
                            assertThat(last.get("file")).isEqualTo("planted.json");
                            assertThat(last.get("passed")).isEqualTo(false);
                        });
    }

    @Test
    void infoTellsOfEveryBackend() {
        CommandResult text = CommandResult.of("info");
        CommandResult json = CommandResult.of("info", "--json");

        assertThat(text.status()).isZero();
        assertThat(text.out())
                .contains(
                        "nd4j",
                        "1.0.0-M2.1",
                        "cpu backend",
                        "available",
                        "BLAS core type",
                        "cuda backend",
                        "CUDA presets",
                        "not on the class path");
        Map<String, Object> map = Json.readObject(json.out());
        assertThat(map)
                .containsKeys("versions", "processors", "environment", "backends", "cudaPresets");
        List<?> backends = (List<?>) map.get("backends");
        assertThat(backends).hasSize(2);
        assertThat((Map<?, ?>) backends.get(0))
                .satisfies(
                        cpu -> {
                            assertThat(cpu.get("available")).isEqualTo(true);
                            assertThat((String) cpu.get("blasCore")).isNotBlank();
                        });
    }

    @SuppressWarnings("unchecked")
    private Map<String, Object> expected() {
        return (Map<String, Object>) content.get("expected");
    }

    /** The first number in a value, one percent larger. */
    private static Object changed(Object value) {
        if (value instanceof Number number) {
            return number.doubleValue() * 1.01 + 1e-3;
        }
        List<Object> copy = new ArrayList<>((List<?>) value);
        copy.set(0, changed(copy.get(0)));
        return copy;
    }

    private Path write(String name) throws IOException {
        return Files.writeString(folder.resolve(name), Json.write(content));
    }
}
