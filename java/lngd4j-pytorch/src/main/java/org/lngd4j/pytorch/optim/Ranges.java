// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.util.function.DoublePredicate;
import org.lngd4j.nativelib.LngdArgumentException;

/** Checks of settings; each message names the setting, the value seen and what is allowed. */
final class Ranges {
    private Ranges() {}

    static LngdArgumentException bad(String name, Object value, String allowed) {
        return new LngdArgumentException(name + " is " + value + "; allowed is " + allowed);
    }

    static <T> T notNull(String name, T value) {
        if (value == null) {
            throw bad(name, null, "anything but null");
        }
        return value;
    }

    static double positive(String name, double value) {
        return real(name, value, x -> x > 0 && x <= Float.MAX_VALUE, "a finite number above 0");
    }

    static double notNegative(String name, double value) {
        return real(name, value, x -> x >= 0 && x <= Float.MAX_VALUE, "a finite number, 0 or more");
    }

    /** The coefficient of a running average of floats, where the doubles just below 1 are 1. */
    static double beta(String name, double value) {
        return real(
                name,
                value,
                x -> x >= 0 && (float) x < 1,
                "0 or more, and below 1 when rounded to a float");
    }

    static int atLeastOne(String name, int value) {
        if (value < 1) {
            throw bad(name, value, "1 or more");
        }
        return value;
    }

    // A NaN fails every comparison, so it is refused too.
    private static double real(String name, double value, DoublePredicate allowed, String range) {
        if (!allowed.test(value)) {
            throw bad(name, value, range);
        }
        return value;
    }
}
