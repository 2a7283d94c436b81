// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lngd4j.Device;

/** The golden files pass, and a mistake planted into any of their fields is found. */
class GoldenTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    /** cpu (by default), cuda or emulated, as in the other modules. */
    private static Device device() {
        String name = System.getProperty("lngd.test.device", "cpu");
        return name.equals("emulated")
                ? Device.CUDA_EMULATED
                : Device.valueOf(name.toUpperCase(Locale.ROOT));
    }

    static Stream<Path> files() throws Exception {
        Path folder =
                Path.of(GoldenTest.class.getResource("/org/lngd4j/cli/golden/vectors").toURI());
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> f.toString().endsWith(".json")).sorted().toList().stream();
        }
    }

    @Test
    void thereAreTenFiles() throws Exception {
        assertThat(files()).hasSize(10);
    }

    @Tag("device")
    @ParameterizedTest
    @MethodSource("files")
    void everyFieldIsWithinItsTolerance(Path file) throws IOException {
        GoldenFile golden = GoldenFile.read(file);
        GoldenResult result = GoldenCheck.run(golden, device());
        assertThat(result.fields()).allMatch(GoldenField::passed);
        assertThat(result.passed()).isTrue();
        // Each expected field of the file was looked at: those without a value are phi_prime of a
        // softmax only.
        int fields = GoldenSchema.EXPECTED.size() - (golden.isSoftmax() ? 1 : 0);
        assertThat(result.fields()).hasSize(fields);
        assertThat(result.worst()).isNotNull();
    }

    /** One in ten thousand of the largest value, in one entry of one field at a time. */
    @ParameterizedTest
    @MethodSource("files")
    void aMistakeInAnyExpectedFieldIsFound(Path file) throws IOException {
        for (String path : new TreeSet<>(GoldenFile.read(file).expected().keySet())) {
            ObjectNode root = (ObjectNode) MAPPER.readTree(Files.readAllBytes(file));
            spoil(root.get("expected"), path.split("\\."), 0);
            GoldenResult result = GoldenCheck.run(parse(root));
            assertThat(result.passed()).as(path).isFalse();
            assertThat(result.fields().stream().filter(f -> !f.passed()).map(GoldenField::path))
                    .containsExactly(path);
            assertThat(result.worst().path()).isEqualTo(path);
        }
    }

    private static void spoil(JsonNode node, String[] path, int depth) {
        ObjectNode object = (ObjectNode) node;
        JsonNode child = object.get(path[depth]);
        if (depth < path.length - 1) {
            spoil(child, path, depth + 1);
        } else if (child.isNumber()) {
            object.put(path[depth], child.doubleValue() * (1 + 1e-4));
        } else {
            ArrayNode row = (ArrayNode) child;
            while (row.get(row.size() - 1).isArray()) {
                row = (ArrayNode) row.get(row.size() - 1);
            }
            int last = row.size() - 1;
            row.set(
                    last,
                    MAPPER.getNodeFactory()
                            .numberNode(row.get(last).doubleValue() + 1e-4 * largest(child)));
        }
    }

    private static double largest(JsonNode node) {
        double max = Math.abs(node.asDouble());
        for (JsonNode child : node) {
            max = Math.max(max, largest(child));
        }
        return max;
    }

    @ParameterizedTest
    @MethodSource("files")
    void aMistakeInAnInputThatIsUsedIsFound(Path file) throws IOException {
        for (String input : List.of("a", "W", "momentum", "Phi_hat_old", "psi_hat_old")) {
            ObjectNode root = (ObjectNode) MAPPER.readTree(Files.readAllBytes(file));
            spoil(root.get("inputs"), new String[] {input}, 0);
            assertThat(GoldenCheck.run(parse(root)).passed()).as(input).isFalse();
        }
        for (String hyper : List.of("eps", "nu2", "alpha", "beta", "weight_decay")) {
            ObjectNode root = (ObjectNode) MAPPER.readTree(Files.readAllBytes(file));
            ObjectNode values = (ObjectNode) root.get("hyper");
            values.put(hyper, values.get(hyper).doubleValue() * 0.9);
            assertThat(GoldenCheck.run(parse(root)).passed()).as(hyper).isFalse();
        }
    }

    @Test
    void absentFieldsAreSkipped() throws Exception {
        ObjectNode root =
                (ObjectNode) MAPPER.readTree(Files.readAllBytes(files().findFirst().orElseThrow()));
        ((ObjectNode) root.get("expected")).retain("s", "q", "Phi");
        ((ObjectNode) root.get("inputs")).retain("a", "W");
        root.remove("hyper");
        root.putObject("hyper");
        GoldenResult result = GoldenCheck.run(parse(root));
        assertThat(result.fields())
                .extracting(GoldenField::path)
                .containsExactlyInAnyOrder("s", "q", "Phi");
        assertThat(result.passed()).isTrue();
    }

    @Test
    void filesThatAreNotOfTheFormatAreRefused() throws Exception {
        byte[] json = Files.readAllBytes(files().findFirst().orElseThrow());
        refused("", "x: ");
        refused("{", "not JSON");
        refused("[1, 2]", "JSON object");
        refused("{\"activation\": \"relu\"} trailing", "not JSON");
        refused(text(json, root -> root.put("surprise", 1)), "unknown field surprise");
        refused(
                text(json, root -> ((ObjectNode) root.get("hyper")).put("lr", 1)),
                "unknown field hyper.lr");
        refused(
                text(json, root -> ((ObjectNode) root.get("inputs")).put("b", 1)),
                "unknown field inputs.b");
        refused(
                text(
                        json,
                        root ->
                                ((ObjectNode) root.at("/expected/ema_update/update"))
                                        .putObject("fast")),
                "unknown field expected.ema_update.update.fast");
        refused(text(json, root -> root.put("activation", "cosine")), "cosine");
        refused(text(json, root -> root.put("mode", "guessed")), "guessed");
        refused(text(json, root -> ((ArrayNode) root.at("/inputs/W")).remove(0)), "entries where");
        refused(text(json, root -> ((ArrayNode) root.at("/inputs/a/3")).remove(0)), "inputs.a");
        refused(text(json, root -> ((ArrayNode) root.at("/expected/s/2")).add("x")), "expected.s");
        refused(
                text(json, root -> ((ObjectNode) root.get("expected")).put("Phi", 3)),
                "expected.Phi");
        refused(
                new String(json, StandardCharsets.UTF_8)
                        .replaceFirst("\"alpha\": 0.1", "\"alpha\": 1e999"),
                "alpha");
    }

    @Test
    void aMissingInputIsNamed() throws Exception {
        byte[] json = Files.readAllBytes(files().findFirst().orElseThrow());
        for (String input : List.of("momentum", "Phi_hat_old", "upstream")) {
            GoldenFile file =
                    GoldenFile.parse(
                            "x",
                            text(json, r -> ((ObjectNode) r.get("inputs")).remove(input))
                                    .getBytes(StandardCharsets.UTF_8));
            assertThatThrownBy(() -> GoldenCheck.run(file))
                    .isInstanceOf(GoldenFormatException.class)
                    .hasMessageContaining("inputs." + input);
        }
    }

    private static String text(byte[] json, java.util.function.Consumer<ObjectNode> change)
            throws IOException {
        ObjectNode root = (ObjectNode) MAPPER.readTree(json);
        change.accept(root);
        return root.toString();
    }

    private static void refused(String json, String message) {
        assertThatThrownBy(() -> GoldenFile.parse("x", json.getBytes(StandardCharsets.UTF_8)))
                .isInstanceOf(GoldenFormatException.class)
                .hasMessageContaining(message);
    }

    private static GoldenFile parse(ObjectNode root) throws IOException {
        return GoldenFile.parse("changed", root.toString().getBytes(StandardCharsets.UTF_8));
    }
}
