// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import org.lngd4j.LngdOptions;

/** The options of one rank out of those that the user gives for all, for adapters of frameworks. */
public final class RankOptions {
    private RankOptions() {}

    /**
     * All ranks together feed the statistics with the samples that the options say.
     *
     * @param options those of the user, for all ranks
     * @param ranks how many there are
     * @return the same with one rank's part of {@code statisticsSamples}, rounded up
     */
    public static LngdOptions shareOf(LngdOptions options, int ranks) {
        int samples = options.statisticsSamples();
        int part = samples / ranks + (samples % ranks == 0 ? 0 : 1);
        return options.toBuilder().statisticsSamples(part).build();
    }
}
