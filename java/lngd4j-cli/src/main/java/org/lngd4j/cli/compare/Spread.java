// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.Arrays;
import java.util.Locale;

/**
 * Mean and spread of a figure over the seeds.
 *
 * @param mean NaN where there is no figure
 * @param deviation the sample's standard deviation; 0 for one seed
 */
public record Spread(double mean, double deviation) {
    /** No figure. */
    public static final Spread NONE = new Spread(Double.NaN, 0);

    /** Of the figures of all seeds. */
    public static Spread of(double... values) {
        if (values.length == 0) {
            return NONE;
        }
        double mean = Arrays.stream(values).average().orElseThrow();
        double squares = Arrays.stream(values).map(x -> (x - mean) * (x - mean)).sum();
        return new Spread(mean, Math.sqrt(squares / Math.max(1, values.length - 1)));
    }

    /** Whether there is a figure. */
    public boolean exists() {
        return !Double.isNaN(mean);
    }

    /** For example {@code 3.81 ±0.07}; a dash where there is no figure. */
    public String text(int digits, double factor) {
        String format = "%." + digits + "f ±%." + digits + "f";
        return exists()
                ? String.format(Locale.ROOT, format, factor * mean, factor * deviation)
                : "-";
    }
}
