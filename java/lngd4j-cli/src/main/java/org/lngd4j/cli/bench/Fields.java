// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * An object of a JSON file that knows where it stands, so that what is wrong in it can be named.
 * Every method throws {@link IllegalArgumentException} where the value is not there or of another
 * kind.
 *
 * @param place such as {@code results[3].}, empty for the whole file
 */
record Fields(String place, Map<?, ?> values) {
    boolean has(String name) {
        return values.containsKey(name);
    }

    Set<String> names() {
        return values.keySet().stream().map(Object::toString).collect(Collectors.toSet());
    }

    String text(String name) {
        if (values.get(name) instanceof String text) {
            return text;
        }
        throw wrong(name, "a text");
    }

    boolean flag(String name) {
        if (values.get(name) instanceof Boolean flag) {
            return flag;
        }
        throw wrong(name, "true or false");
    }

    int threads(String name) {
        if (values.get(name) instanceof Integer count && count >= 1) {
            return count;
        }
        throw wrong(name, "a whole number from 1");
    }

    /** A time, or a ratio of times. */
    double positive(String name) {
        if (values.get(name) instanceof Number number
                && number.doubleValue() > 0
                && Double.isFinite(number.doubleValue())) {
            return number.doubleValue();
        }
        throw wrong(name, "a number above 0");
    }

    /** Any number; null, which the program writes for what is not finite, is NaN. */
    double number(String name) {
        if (has(name) && values.get(name) == null) {
            return Double.NaN;
        }
        if (values.get(name) instanceof Number number) {
            return number.doubleValue();
        }
        throw wrong(name, "a number or null");
    }

    Fields object(String name) {
        if (values.get(name) instanceof Map<?, ?> object) {
            return new Fields(place + name + ".", object);
        }
        throw wrong(name, "an object");
    }

    List<Fields> objects(String name) {
        if (!(values.get(name) instanceof List<?> list)) {
            throw wrong(name, "a list");
        }
        List<Fields> objects = new ArrayList<>();
        for (int i = 0; i < list.size(); i++) {
            String at = name + "[" + i + "]";
            if (!(list.get(i) instanceof Map<?, ?> object)) {
                throw new IllegalArgumentException(
                        place + at + " is " + shortened(list.get(i)) + ", allowed is an object");
            }
            objects.add(new Fields(place + at + ".", object));
        }
        return objects;
    }

    private IllegalArgumentException wrong(String name, String allowed) {
        String seen = has(name) ? "is " + shortened(values.get(name)) : "is missing";
        return new IllegalArgumentException(place + name + " " + seen + ", allowed is " + allowed);
    }

    // A whole list of results would not be a line.
    private static String shortened(Object value) {
        String text = String.valueOf(value);
        return text.length() <= 40 ? text : text.substring(0, 40) + "...";
    }
}
