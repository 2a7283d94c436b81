// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.train.MetricsRow;

/**
 * What a run has to reach: a test accuracy, or a test or training loss.
 *
 * @param measure which of them
 * @param value accuracy as a share, loss in nats
 */
record Target(Measure measure, double value) {
    /** What can be a target. */
    enum Measure {
        /** Test accuracy. */
        ACC("test accuracy"),
        /** BLEU of translations of the test set. */
        BLEU("test BLEU"),
        /** Test loss. */
        LOSS("test loss"),
        /** Mean loss of the training batches since the evaluation before. */
        TRAIN_LOSS("training loss");

        private final String words;

        Measure(String words) {
            this.words = words;
        }

        double of(MetricsRow row) {
            return switch (this) {
                case ACC -> row.testAccuracy();
                case BLEU -> row.testBleu();
                case LOSS -> row.testLoss();
                case TRAIN_LOSS -> row.trainLoss();
            };
        }

        /** The same, turned so that more is better. */
        double score(MetricsRow row) {
            return rises() ? of(row) : -of(row);
        }

        /** The largest value there is. */
        double most() {
            return switch (this) {
                case ACC -> 1;
                case BLEU -> 100;
                default -> Double.MAX_VALUE;
            };
        }

        /** Whether more of it is better. */
        boolean rises() {
            return this == ACC || this == BLEU;
        }

        String words() {
            return words;
        }
    }

    /** Reads {@code acc=0.9}, {@code bleu=30}, {@code loss=80} or {@code train-loss=80}. */
    static Target parse(String text) {
        String[] parts = text.split("=", 2);
        for (Measure measure : Measure.values()) {
            String name = measure.name().toLowerCase(Locale.ROOT).replace('_', '-');
            if (parts.length == 2 && parts[0].equals(name)) {
                try {
                    double value = Double.parseDouble(parts[1]);
                    if (value > 0 && value <= measure.most()) {
                        return new Target(measure, value);
                    }
                } catch (NumberFormatException e) {
                    break;
                }
            }
        }
        throw CliException.badInput(
                "--target "
                        + text
                        + ": expected acc=X with 0 < X <= 1, bleu=X up to 100, loss=X or train-loss=X, for"
                        + " example acc=0.9");
    }

    /**
     * Where the user names none: the best level that every complete run reached, rounded to its
     * easy side (half a per cent of accuracy, half a point of BLEU, two digits of a loss).
     */
    static Optional<Target> reachedByAll(Measure measure, Collection<List<MetricsRow>> runs) {
        return runs.stream()
                .map(rows -> rows.stream().mapToDouble(measure::score).max().orElseThrow())
                .min(Double::compare)
                .filter(Double::isFinite)
                .map(score -> new Target(measure, Math.abs(rounded(measure, score))))
                .filter(target -> target.value() > 0);
    }

    private static double rounded(Measure measure, double score) {
        if (measure == Measure.BLEU) {
            return Math.floor(score * 2) / 2;
        }
        if (score >= 0) {
            return Math.floor(score * 200) / 200;
        }
        double unit = Math.pow(10, Math.floor(Math.log10(-score)) - 1);
        return Math.floor(score / unit) * unit;
    }

    /** The first evaluation that reached it. */
    Optional<MetricsRow> firstIn(List<MetricsRow> rows) {
        return rows.stream().filter(this::isReachedBy).findFirst();
    }

    private boolean isReachedBy(MetricsRow row) {
        return measure.rises() ? measure.of(row) >= value : measure.of(row) <= value;
    }

    @Override
    public String toString() {
        return measure == Measure.ACC
                ? String.format(Locale.ROOT, "%s %.4g %%", measure.words(), 100 * value)
                : String.format(Locale.ROOT, "%s %.4g", measure.words(), value);
    }
}
