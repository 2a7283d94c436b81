// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import java.util.List;

/**
 * How a golden file compares.
 *
 * @param name the file
 * @param fields one entry for each expected field that is in the file, in the order of the format
 */
public record GoldenResult(String name, List<GoldenField> fields) {
    /**
     * Copies the list.
     *
     * @param name the file
     * @param fields one entry for each expected field
     */
    public GoldenResult {
        fields = List.copyOf(fields);
    }

    /**
     * Whether every field is within its tolerances.
     *
     * @return true if so, and if there was at least one field
     */
    public boolean passed() {
        return !fields.isEmpty() && fields.stream().allMatch(GoldenField::passed);
    }

    /**
     * The field that is nearest to its tolerance, or farthest beyond it.
     *
     * @return the field; null if there is none
     */
    public GoldenField worst() {
        GoldenField worst = null;
        for (GoldenField field : fields) {
            worst = worst == null || ratio(field) > ratio(worst) ? field : worst;
        }
        return worst;
    }

    private static double ratio(GoldenField f) {
        double ratio = Math.max(f.error() / f.tolerance(), f.twinError() / f.twinTolerance());
        return Double.isNaN(ratio) ? Double.POSITIVE_INFINITY : ratio;
    }
}
