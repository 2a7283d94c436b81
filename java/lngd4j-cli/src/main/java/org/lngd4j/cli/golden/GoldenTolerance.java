// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import java.util.ArrayList;
import java.util.List;

/**
 * What float32 may make of each field of a golden file: the conditioning of the file is measured,
 * not bounded. The formulas are computed several times in double precision with random errors of
 * float32's size put in at every stage; the largest change of a field, times a safety factor, is
 * its tolerance. Bounds from condition numbers were tried first and rejected: they multiply from
 * stage to stage and reach 1e8 for a file that is merely ill-conditioned, which checks nothing.
 */
final class GoldenTolerance {
    private static final int RUNS = 8;

    /** Over the largest of {@value #RUNS} random runs. */
    private static final double SAFETY = 8;

    private final GoldenTwin exact;
    private final List<GoldenTwin> perturbed = new ArrayList<>();

    GoldenTolerance(GoldenTwin exact) {
        this.exact = exact;
        for (int i = 1; i <= RUNS; i++) {
            perturbed.add(new GoldenTwin(exact.file, Noise.seeded(i)));
        }
    }

    double of(String path) {
        double spread = 0;
        for (GoldenTwin twin : perturbed) {
            spread =
                    Math.max(
                            spread,
                            GoldenCheck.error(exact.values.get(path), twin.values.get(path)));
        }
        return SAFETY * (Noise.U + spread);
    }

    String reason(String path) {
        double units = of(path) / (SAFETY * Noise.U);
        return String.format(
                java.util.Locale.ROOT,
                "%.0f x 2^-24 x amplification %.3g of float32 rounding",
                SAFETY,
                units);
    }
}
