// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.Locale;

/** What tells how good a network is, beside its loss. */
public enum Quality {
    /** The share of right classes. */
    ACCURACY("accuracy"),
    /** BLEU of translations, 0 to 100. */
    BLEU("BLEU"),
    /** Nothing: of an autoencoder the loss is all there is. */
    NONE("loss");

    private final String words;

    Quality(String words) {
        this.words = words;
    }

    /** Its name for people. */
    public String words() {
        return words;
    }

    /** A value for people, for example {@code 89.52 %} or {@code 34.10}. */
    String text(MetricsRow row) {
        return switch (this) {
            case ACCURACY -> String.format(Locale.ROOT, "%.2f %%", 100 * row.testAccuracy());
            case BLEU -> String.format(Locale.ROOT, "%.2f", row.testBleu());
            case NONE -> "-";
        };
    }

    /** The same in per cent or points, for a curve. */
    public double points(MetricsRow row) {
        return this == ACCURACY ? 100 * row.testAccuracy() : row.testBleu();
    }
}
