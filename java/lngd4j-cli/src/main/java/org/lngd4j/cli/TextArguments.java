// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import org.lngd4j.cli.train.TextSettings;
import picocli.CommandLine.Option;

/** The options of {@code lngd train} that are {@link TextSettings}. */
public final class TextArguments {
    @Option(
            names = "--vocabulary",
            paramLabel = "N",
            description = "Transformer: subwords of both languages together (default: 4000).")
    private Integer vocabulary;

    @Option(
            names = "--dropout",
            paramLabel = "X",
            description = "Transformer: share of the numbers that are dropped (default: 0.1).")
    private Double dropout;

    @Option(
            names = "--label-smoothing",
            paramLabel = "X",
            description =
                    "Transformer: share of the uniform distribution in the targets (default: 0.1).")
    private Double labelSmoothing;

    /** What was said. */
    public TextSettings settings() {
        return new TextSettings(vocabulary, dropout, labelSmoothing);
    }
}
