// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.Serializable;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Settings of networks that learn sentences. A null stands for "not said".
 *
 * @param vocabulary subwords of both languages together, at least 300; null: 4000
 * @param dropout 0 to below 1; null: 0.1
 * @param labelSmoothing 0 to below 1; null: 0.1
 */
public record TextSettings(Integer vocabulary, Double dropout, Double labelSmoothing)
        implements Serializable {
    /** Nothing said. */
    public static final TextSettings NONE = new TextSettings(null, null, null);

    private static final int VOCABULARY = 4000;
    private static final int LEAST = 300; // letters of two languages, and some merges
    private static final int MOST = 100_000;
    private static final double DROPOUT = 0.1;
    private static final double SMOOTHING = 0.1;

    /** Checks every range, as {@link TrainSettings} does. */
    public TextSettings {
        TrainSettings.whole("--vocabulary", vocabulary, LEAST, MOST);
        TrainSettings.real("--dropout", dropout, x -> x >= 0 && x < 1, "0 or more, below 1");
        TrainSettings.real(
                "--label-smoothing", labelSmoothing, x -> x >= 0 && x < 1, "0 or more, below 1");
    }

    /** The number of subwords. */
    public int vocabularyOrDefault() {
        return vocabulary == null ? VOCABULARY : vocabulary;
    }

    /** The probability. */
    public double dropoutOrDefault() {
        return dropout == null ? DROPOUT : dropout;
    }

    /** The share of the uniform distribution in the targets. */
    public double labelSmoothingOrDefault() {
        return labelSmoothing == null ? SMOOTHING : labelSmoothing;
    }

    /** By option name without the dashes; what was not said is null. */
    public Map<String, Object> toMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("vocabulary", vocabulary);
        map.put("dropout", dropout);
        map.put("label-smoothing", labelSmoothing);
        return map;
    }
}
