// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.Locale;

/**
 * One evaluation in the middle of a run: a line of {@code metrics.csv}.
 *
 * @param step steps done
 * @param epoch epochs done, with a fraction
 * @param seconds training time so far, without evaluation
 * @param trainLoss mean loss of the batches since the evaluation before
 * @param testLoss mean cross-entropy on the test set, nats (of an image: summed over its pixels)
 * @param testAccuracy 0 to 1; NaN where there are no classes
 */
public record MetricsRow(
        long step,
        double epoch,
        double seconds,
        double trainLoss,
        double testLoss,
        double testAccuracy) {
    /** The first line of {@code metrics.csv}. */
    public static final String HEADER = "step,epoch,seconds,train_loss,test_loss,test_accuracy";

    /** Whether there are classes, so that an accuracy can be told. */
    public boolean hasAccuracy() {
        return !Double.isNaN(testAccuracy);
    }

    /** Whether this evaluation is better: in accuracy, or in loss where there are no classes. */
    public boolean isBetterThan(MetricsRow other) {
        return hasAccuracy() ? testAccuracy > other.testAccuracy : testLoss < other.testLoss;
    }

    /** The accuracy for people, for example {@code 89.52 %}. */
    String accuracyText() {
        return hasAccuracy() ? String.format(Locale.ROOT, "%.2f %%", 100 * testAccuracy) : "-";
    }

    /** A line without its line feed. Losses keep every bit: a resumed run is compared with them. */
    public String toCsv() {
        return String.format(
                Locale.ROOT,
                "%d,%.4f,%.3f,%s,%s,%s",
                step,
                epoch,
                seconds,
                trainLoss,
                testLoss,
                testAccuracy);
    }

    /**
     * Reads a line of {@link #toCsv}.
     *
     * @throws IllegalArgumentException where it is not one
     */
    public static MetricsRow parse(String line) {
        String[] cells = line.split(",", -1);
        if (cells.length != 6) {
            throw new IllegalArgumentException(
                    "line: " + cells.length + " cells instead of 6: " + line);
        }
        return new MetricsRow(
                Long.parseLong(cells[0]),
                Double.parseDouble(cells[1]),
                Double.parseDouble(cells[2]),
                Double.parseDouble(cells[3]),
                Double.parseDouble(cells[4]),
                Double.parseDouble(cells[5]));
    }
}
