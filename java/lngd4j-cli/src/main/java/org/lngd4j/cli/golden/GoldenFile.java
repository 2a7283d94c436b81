// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.lngd4j.Activation;

/**
 * A golden file: one layer, its inputs, and what an update of it must give, in double precision.
 * Immutable.
 *
 * <p>The format is strict: an unknown field, a number that is not finite, or a shape that does not
 * fit the others is an error. A field that is absent, or null, is skipped.
 */
public final class GoldenFile {
    private static final ObjectMapper MAPPER =
            new ObjectMapper()
                    .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    private final String name;
    private final String activation;
    private final boolean sampled;
    private final Map<String, Double> hyper = new LinkedHashMap<>();
    private final Map<String, double[]> inputs = new LinkedHashMap<>();
    private final Map<String, double[]> expected = new LinkedHashMap<>();
    private int samples;
    private int columns;
    private int rows;

    private GoldenFile(String name, JsonNode root) {
        this.name = name;
        requireKnown(
                root,
                "",
                List.of("description", "activation", "mode", "hyper", "inputs", "expected"));
        activation = text(root, "activation");
        String mode = text(root, "mode");
        if (!mode.equals("expected") && !mode.equals("sampled")) {
            throw bad("mode is \"" + mode + "\"; allowed is \"expected\" or \"sampled\"");
        }
        sampled = mode.equals("sampled");
        if (!isSoftmax() && phi() == null) {
            throw bad(
                    "activation is \""
                            + activation
                            + "\"; allowed is softmax_categorical, softmax_gaussian, or one of "
                            + List.of(Activation.values())
                                    .toString()
                                    .toLowerCase(java.util.Locale.ROOT));
        }
        JsonNode values = root.path("hyper");
        requireKnown(values, "hyper.", GoldenSchema.HYPER);
        values.fieldNames()
                .forEachRemaining(key -> hyper.put(key, number(values.get(key), "hyper." + key)));
        readSizes(root.path("inputs"));
        read(root.path("inputs"), "", GoldenSchema.INPUTS, inputs, "inputs.");
        read(root.path("expected"), "", GoldenSchema.EXPECTED, expected, "expected.");
        requireLabels("labels");
        requireLabels("sampled_labels");
    }

    /**
     * Reads a file.
     *
     * @param file the file
     * @return its contents
     * @throws IOException if it cannot be read
     * @throws GoldenFormatException if it is not of the format
     */
    public static GoldenFile read(Path file) throws IOException {
        return parse(file.getFileName().toString(), Files.readAllBytes(file));
    }

    /**
     * Reads the bytes of a file.
     *
     * @param name a name for messages
     * @param json the bytes
     * @return the contents
     * @throws IOException never for an array, but the JSON reader declares it
     * @throws GoldenFormatException if they are not of the format
     */
    public static GoldenFile parse(String name, byte[] json) throws IOException {
        JsonNode root;
        try {
            root = MAPPER.readTree(json);
        } catch (JsonProcessingException e) {
            throw new GoldenFormatException(name + ": not JSON: " + e.getOriginalMessage(), e);
        }
        return new GoldenFile(name, root);
    }

    private void readSizes(JsonNode node) {
        rows = node.path("W").size();
        samples = node.path("a").size();
        columns = node.path("a").path(0).size();
        if (rows == 0 || samples == 0 || columns == 0) {
            throw bad(
                    "inputs.a and inputs.W must be matrices with at least one row and one column");
        }
    }

    private void read(
            JsonNode node,
            String path,
            Map<String, String> known,
            Map<String, double[]> to,
            String prefix) {
        if (node.isMissingNode() || node.isNull()) {
            return;
        }
        if (!node.isObject()) {
            throw bad(prefix + path + " must be an object");
        }
        for (Iterator<Map.Entry<String, JsonNode>> it = node.fields(); it.hasNext(); ) {
            Map.Entry<String, JsonNode> entry = it.next();
            String key = path.isEmpty() ? entry.getKey() : path + "." + entry.getKey();
            if (known.containsKey(key)) {
                if (!entry.getValue().isNull()) {
                    to.put(key, array(entry.getValue(), known.get(key), prefix + key));
                }
            } else if (GoldenSchema.isGroup(known, key)) {
                read(entry.getValue(), key, known, to, prefix);
            } else {
                throw bad("unknown field " + prefix + key);
            }
        }
    }

    private double[] array(JsonNode node, String shape, String path) {
        List<Double> values = new ArrayList<>();
        collect(node, shape, 0, path, values);
        return values.stream().mapToDouble(Double::doubleValue).toArray();
    }

    private void collect(JsonNode node, String shape, int depth, String path, List<Double> to) {
        if (depth == shape.length()) {
            to.add(number(node, path));
            return;
        }
        int size =
                switch (shape.charAt(depth)) {
                    case 'N' -> samples;
                    case 'd' -> columns;
                    default -> rows;
                };
        if (!node.isArray() || node.size() != size) {
            throw bad(
                    path
                            + " has "
                            + (node.isArray() ? node.size() + " entries" : "no array")
                            + " where "
                            + shape.charAt(depth)
                            + " = "
                            + size
                            + " are expected");
        }
        node.forEach(child -> collect(child, shape, depth + 1, path, to));
    }

    private double number(JsonNode node, String path) {
        if (!node.isNumber() || !Double.isFinite(node.doubleValue())) {
            throw bad(path + " has " + node + " where a finite number is expected");
        }
        return node.doubleValue();
    }

    private String text(JsonNode root, String key) {
        if (!root.path(key).isTextual()) {
            throw bad(key + " must be a text");
        }
        return root.get(key).textValue();
    }

    private void requireKnown(JsonNode node, String prefix, List<String> known) {
        if (!node.isObject()) {
            throw bad((prefix.isEmpty() ? "the file" : prefix) + " must be a JSON object");
        }
        node.fieldNames()
                .forEachRemaining(
                        key -> {
                            if (!known.contains(key)) {
                                throw bad("unknown field " + prefix + key);
                            }
                        });
    }

    private void requireLabels(String key) {
        for (double label : inputs.getOrDefault(key, new double[0])) {
            if (label != Math.rint(label) || label < 0 || label >= rows) {
                throw bad(
                        "inputs."
                                + key
                                + " has "
                                + label
                                + "; allowed are whole numbers from 0 to "
                                + (rows - 1));
            }
        }
    }

    private GoldenFormatException bad(String what) {
        return new GoldenFormatException(name + ": " + what, null);
    }

    /** {@return the name of the file} */
    public String name() {
        return name;
    }

    /** {@return the activation, as the file has it} */
    public String activation() {
        return activation;
    }

    /** {@return whether the file is of the mode "sampled", with its noise; else "expected"} */
    public boolean sampled() {
        return sampled;
    }

    /** {@return the number of samples, N} */
    public int samples() {
        return samples;
    }

    /** {@return the number of columns of W, d} */
    public int columns() {
        return columns;
    }

    /** {@return the number of rows of W, m} */
    public int rows() {
        return rows;
    }

    boolean isSoftmax() {
        return activation.equals("softmax_categorical") || activation.equals("softmax_gaussian");
    }

    boolean isGaussian() {
        return activation.equals("softmax_gaussian");
    }

    /** The activation of a hidden layer; null for a softmax output or an unknown name. */
    Activation phi() {
        for (Activation value : Activation.values()) {
            if (value.name().toLowerCase(java.util.Locale.ROOT).equals(activation)) {
                return value;
            }
        }
        return null;
    }

    /** Whether the file has an input. */
    boolean has(String input) {
        return inputs.containsKey(input);
    }

    /** An input; an exception if the file does not have it. Not to be changed. */
    double[] input(String key) {
        double[] value = inputs.get(key);
        if (value == null) {
            throw bad("inputs." + key + " is missing, and an expected field needs it");
        }
        return value;
    }

    double hyper(String key) {
        Double value = hyper.get(key);
        if (value == null) {
            throw bad("hyper." + key + " is missing, and an expected field needs it");
        }
        return value;
    }

    /** The expected fields that are in the file, by path. */
    Map<String, double[]> expected() {
        return expected;
    }

    /** Whether any expected field lies below a path. */
    boolean expects(String prefix) {
        return expected.keySet().stream().anyMatch(key -> key.startsWith(prefix));
    }

    @Override
    public String toString() {
        return "GoldenFile["
                + name
                + ", "
                + activation
                + ", "
                + (sampled ? "sampled" : "expected")
                + ", N="
                + samples
                + ", d="
                + columns
                + ", m="
                + rows
                + ", "
                + expected.size()
                + " fields]";
    }
}
