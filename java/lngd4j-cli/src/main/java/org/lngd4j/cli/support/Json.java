// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.util.Map;

/** JSON text of maps, lists, numbers and strings. Doubles keep every bit on the way out and in. */
public final class Json {
    private static final ObjectMapper MAPPER =
            new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

    private Json() {}

    /** Indented text that ends with a line feed. */
    public static String write(Object value) {
        try {
            return MAPPER.writeValueAsString(value) + "\n";
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("value: cannot be written as JSON", e);
        }
    }

    /**
     * Reads an object.
     *
     * @throws IllegalArgumentException where the text is not a JSON object
     */
    public static Map<String, Object> readObject(String text) {
        try {
            return MAPPER.readValue(text, new TypeReference<Map<String, Object>>() {});
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException(
                    "text: not a JSON object: " + e.getOriginalMessage(), e);
        }
    }
}
