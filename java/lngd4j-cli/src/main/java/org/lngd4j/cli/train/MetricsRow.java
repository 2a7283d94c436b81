// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.ArrayList;
import java.util.List;
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
 * @param testBleu 0 to 100; NaN where nothing is translated
 * @param health what LNGD has left out so far; null where another optimizer trains, and in rows of
 *     versions that did not write it
 */
public record MetricsRow(
        long step,
        double epoch,
        double seconds,
        double trainLoss,
        double testLoss,
        double testAccuracy,
        double testBleu,
        HealthCounts health) {
    /** How the first line of {@code metrics.csv} begins. */
    public static final String HEADER = "step,epoch,seconds,train_loss,test_loss,test_accuracy";

    private static final int CELLS = 6; // then one of BLEU, then those of the health

    /** A row without health. */
    public MetricsRow(
            long step,
            double epoch,
            double seconds,
            double trainLoss,
            double testLoss,
            double testAccuracy,
            double testBleu) {
        this(step, epoch, seconds, trainLoss, testLoss, testAccuracy, testBleu, null);
    }

    /** A row of what is not translated, without health. */
    public MetricsRow(
            long step,
            double epoch,
            double seconds,
            double trainLoss,
            double testLoss,
            double testAccuracy) {
        this(step, epoch, seconds, trainLoss, testLoss, testAccuracy, Double.NaN);
    }

    /**
     * The lines of {@code metrics.csv}: BLEU has a column where something is translated, the health
     * has three where a row knows it. Such a column is there in all rows, empty where a row of a
     * resumed run is from before there was one.
     */
    static List<String> table(List<MetricsRow> rows) {
        boolean health = rows.stream().anyMatch(row -> row.health() != null);
        boolean bleu = rows.stream().anyMatch(row -> row.quality() == Quality.BLEU);
        List<String> lines = new ArrayList<>();
        lines.add(HEADER + (bleu ? ",test_bleu" : "") + (health ? "," + HealthCounts.HEADER : ""));
        for (MetricsRow row : rows) {
            lines.add(row.toCsv() + (health ? "," + HealthCounts.toCsv(row.health) : ""));
        }
        return lines;
    }

    /** What was measured beside the loss. */
    public Quality quality() {
        if (!Double.isNaN(testBleu)) {
            return Quality.BLEU;
        }
        return Double.isNaN(testAccuracy) ? Quality.NONE : Quality.ACCURACY;
    }

    /** Whether this evaluation is better: in quality, or in loss where there is no other. */
    public boolean isBetterThan(MetricsRow other) {
        return quality() == Quality.NONE
                ? testLoss < other.testLoss
                : quality().points(this) > quality().points(other);
    }

    /** The quality for people, for example {@code 89.52 %}. */
    public String qualityText() {
        return quality().text(this);
    }

    /** The cells before the health. Losses keep every bit: a resumed run is compared with them. */
    private String toCsv() {
        String line =
                String.format(
                        Locale.ROOT,
                        "%d,%.4f,%.3f,%s,%s,%s",
                        step,
                        epoch,
                        seconds,
                        trainLoss,
                        testLoss,
                        testAccuracy);
        return quality() == Quality.BLEU ? line + "," + testBleu : line;
    }

    /**
     * Reads a line of {@link #table} but the first, of this version or of one before.
     *
     * @throws IllegalArgumentException where it is not one
     */
    public static MetricsRow parse(String line) {
        String[] cells = line.split(",", -1);
        boolean health = cells.length >= CELLS + HealthCounts.CELLS;
        int figures = health ? cells.length - HealthCounts.CELLS : cells.length;
        if (figures != CELLS && figures != CELLS + 1) {
            throw new IllegalArgumentException(
                    "line: " + cells.length + " cells instead of 6, 7, 9 or 10: " + line);
        }
        return new MetricsRow(
                Long.parseLong(cells[0]),
                Double.parseDouble(cells[1]),
                Double.parseDouble(cells[2]),
                Double.parseDouble(cells[3]),
                Double.parseDouble(cells[4]),
                Double.parseDouble(cells[5]),
                figures == CELLS ? Double.NaN : Double.parseDouble(cells[CELLS]),
                health ? HealthCounts.parse(cells, figures) : null);
    }
}
