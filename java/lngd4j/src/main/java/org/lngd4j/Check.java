// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.List;
import org.lngd4j.nativelib.LngdArgumentException;

/** Checks of arguments; each message names the argument, the value seen and what is allowed. */
final class Check {
    private Check() {}

    static LngdArgumentException bad(String name, Object value, String allowed) {
        return new LngdArgumentException(name + " is " + value + "; allowed is " + allowed);
    }

    static <T> T notNull(String name, T value) {
        if (value == null) {
            throw bad(name, null, "anything but null");
        }
        return value;
    }

    /** One layer or more, none of them null. */
    static void layers(List<LayerSpec> layers) {
        notNull("layers", layers);
        if (layers.isEmpty()) {
            throw bad("layers", "empty", "one layer or more");
        }
        for (int i = 0; i < layers.size(); i++) {
            notNull("layers[" + i + "]", layers.get(i));
        }
    }

    static int atLeast(String name, int value, int minimum) {
        if (value < minimum) {
            throw bad(name, value, minimum + " or more");
        }
        return value;
    }

    static long atLeast(String name, long value, long minimum) {
        if (value < minimum) {
            throw bad(name, value, minimum + " or more");
        }
        return value;
    }

    /** value in [low, high]; written so that NaN fails. */
    static double within(String name, double value, double low, double high) {
        if (!(value >= low && value <= high)) {
            throw bad(name, value, "a number in [" + low + ", " + high + "]");
        }
        return value;
    }

    /** value in (0, infinity). */
    static double positive(String name, double value) {
        if (!(value > 0 && value <= Double.MAX_VALUE)) {
            throw bad(name, value, "a finite number above 0");
        }
        return value;
    }

    /** value in [0, infinity). */
    static double notNegative(String name, double value) {
        if (!(value >= 0 && value <= Double.MAX_VALUE)) {
            throw bad(name, value, "a finite number, 0 or more");
        }
        return value;
    }

    /** value in [0, 1). */
    static double fraction(String name, double value) {
        if (!(value >= 0 && value < 1)) {
            throw bad(name, value, "a number in [0, 1)");
        }
        return value;
    }
}
