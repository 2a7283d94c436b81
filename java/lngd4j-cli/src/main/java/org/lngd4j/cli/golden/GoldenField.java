// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import java.util.Locale;

/**
 * How one expected field of a golden file compares.
 *
 * <p>Two errors are measured, each as the largest absolute difference over the largest absolute
 * expected value: that of the native library (float32), and that of the formulas in double
 * precision. The second is the sharper judge of the file itself: where a factor is ill-conditioned,
 * float32 cannot see a small mistake in a file.
 *
 * @param path the field, such as {@code ema_update.update.kron.zeta}
 * @param error relative error of the native library
 * @param tolerance what is allowed for it
 * @param reason where the tolerance comes from
 * @param twinError relative error of the formulas in double precision
 * @param twinTolerance what is allowed for it
 */
public record GoldenField(
        String path,
        double error,
        double tolerance,
        String reason,
        double twinError,
        double twinTolerance) {
    /**
     * Whether both errors are within their tolerances; NaN is not.
     *
     * @return true if so
     */
    public boolean passed() {
        return error <= tolerance && twinError <= twinTolerance;
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT,
                "%s %s: error %.2e, allowed %.2e (%s); in double %.2e, allowed %.2e",
                passed() ? "ok  " : "FAIL",
                path,
                error,
                tolerance,
                reason,
                twinError,
                twinTolerance);
    }
}
