// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.Collection;
import org.lngd4j.LayerHealth;

/**
 * What LNGD has left out since the run began, summed over its layers: 0 is well.
 *
 * @param skippedSteps steps that did not move a layer
 * @param failedInverses blocks that could not be inverted and kept their old inverse
 * @param skippedStatistics updates of statistics that were left out
 */
public record HealthCounts(long skippedSteps, long failedInverses, long skippedStatistics) {
    /** The columns of {@code metrics.csv}. */
    static final String HEADER = "skipped_steps,failed_inverses,skipped_statistics";

    /** How many columns. */
    static final int CELLS = 3;

    /** The sums over layers. */
    public static HealthCounts of(Collection<LayerHealth> layers) {
        return new HealthCounts(
                layers.stream().mapToLong(LayerHealth::skippedSteps).sum(),
                layers.stream().mapToLong(LayerHealth::failedInverses).sum(),
                layers.stream().mapToLong(LayerHealth::skippedStatistics).sum());
    }

    /** The cells of a row; empty ones where the counts are null, that is not known. */
    static String toCsv(HealthCounts counts) {
        return counts == null
                ? ",,"
                : counts.skippedSteps
                        + ","
                        + counts.failedInverses
                        + ","
                        + counts.skippedStatistics;
    }

    /** Reads the cells from an index on; null where they are empty. */
    static HealthCounts parse(String[] cells, int from) {
        return cells[from].isEmpty()
                ? null
                : new HealthCounts(
                        Long.parseLong(cells[from]),
                        Long.parseLong(cells[from + 1]),
                        Long.parseLong(cells[from + 2]));
    }
}
