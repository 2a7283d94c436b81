// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.util.List;
import org.lngd4j.LngdOptions;
import org.lngd4j.nativelib.LngdArgumentException;

/** The start of a training on all ranks, for adapters of frameworks. */
public final class RankStart {
    private RankStart() {}

    /**
     * The options of each rank: all ranks together feed the statistics with the samples that the
     * options say.
     *
     * @param options those of the user, for all ranks
     * @param ranks how many there are
     * @return the same with this rank's part of {@code statisticsSamples}, rounded up
     */
    public static LngdOptions shareOf(LngdOptions options, int ranks) {
        int samples = options.statisticsSamples();
        int part = samples / ranks + (samples % ranks == 0 ? 0 : 1);
        return options.toBuilder().statisticsSamples(part).build();
    }

    /**
     * Throws on all ranks where one of them cannot start, so that none waits for it in vain: a
     * collective.
     *
     * @param ranks the processes
     * @param refused why this rank cannot; null: it can
     * @throws RuntimeException {@code refused} itself on the rank that has it, {@link
     *     LngdArgumentException} with its message on the others
     * @throws RanksException if the collective fails
     */
    public static void check(Ranks ranks, RuntimeException refused) {
        List<String> all;
        try {
            all = ranks.gather(refused == null ? "" : reason(refused));
        } catch (RuntimeException e) {
            if (refused == null) {
                throw e;
            }
            refused.addSuppressed(e);
            throw refused;
        }
        if (refused != null) {
            throw refused;
        }
        for (int rank = 0; rank < all.size(); rank++) {
            if (!all.get(rank).isEmpty()) {
                throw new LngdArgumentException("rank " + rank + " says: " + all.get(rank));
            }
        }
    }

    /** Never empty, which would say that nothing is wrong. */
    private static String reason(RuntimeException refused) {
        String message = refused.getMessage();
        return message == null || message.isEmpty() ? refused.toString() : message;
    }
}
