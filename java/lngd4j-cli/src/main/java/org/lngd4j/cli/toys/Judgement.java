// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.List;
import java.util.Locale;
import org.lngd4j.cli.compare.Spread;

/**
 * How an optimizer did on a problem beside the better of its references: the better at the best
 * epoch for the one, the better at the end for the other, which may be two of them.
 *
 * @param best its mean of the best epochs' test losses over that of the better reference
 * @param last the same of the losses at the end
 * @param verdict what follows
 */
record Judgement(double best, double last, Verdict verdict) {
    /** A loss may be a tenth above that of the better reference. */
    static final double BOUND = 1.10;

    private static final double GAIN = 0.90;

    /** In a word. */
    enum Verdict {
        /** At least a tenth below the better reference wherever it is judged. */
        BETTER,
        /** Within the bound. */
        HOLDS,
        /** Above the bound at the best epoch. */
        WORSE,
        /** Within the bound at the best epoch, above it at the end. */
        WORSE_AT_THE_END,
        /** A run diverged, while a reference did not. */
        DIVERGED,
        /** All references diverged. */
        NONE;

        /** Whether nothing was lost. */
        boolean isGood() {
            return this == BETTER || this == HOLDS;
        }

        @Override
        public String toString() {
            return switch (this) {
                case NONE -> "-";
                case WORSE_AT_THE_END -> "worse at the end";
                default -> name().toLowerCase(Locale.ROOT);
            };
        }
    }

    /**
     * Judges an outcome.
     *
     * @param references of the same problem and seeds, at least one
     */
    static Judgement of(Outcome outcome, List<Outcome> references) {
        double best = ratio(outcome.best(), references.stream().map(Outcome::best).toList());
        double last = ratio(outcome.last(), references.stream().map(Outcome::last).toList());
        return new Judgement(best, last, verdict(best, last, outcome.problem().overtrains()));
    }

    /**
     * The verdict of two ratios.
     *
     * @param overtrains whether the end is left out, see {@link Problem}
     */
    static Verdict verdict(double best, double last, boolean overtrains) {
        if (Double.isInfinite(best) || Double.isInfinite(last)) {
            return Verdict.DIVERGED;
        }
        if (Double.isNaN(best) || Double.isNaN(last)) {
            return Verdict.NONE;
        }
        if (best > BOUND) {
            return Verdict.WORSE;
        }
        if (last > BOUND && !overtrains) {
            return Verdict.WORSE_AT_THE_END;
        }
        boolean better = best <= GAIN && (overtrains || last <= GAIN);
        return better ? Verdict.BETTER : Verdict.HOLDS;
    }

    private static double ratio(Spread mine, List<Spread> others) {
        double least =
                others.stream()
                        .mapToDouble(Spread::mean)
                        .min()
                        .orElseThrow(() -> new IllegalArgumentException("references: none"));
        return Double.isInfinite(least) ? Double.NaN : mine.mean() / least;
    }
}
