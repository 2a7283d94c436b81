// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * Options of a run that goes on for longer than it was told. One rule for all: what depends on the
 * length becomes what a run of the new length would have had; what was done stays done. The other
 * way, to leave tau and to start the schedule again at 1, makes steps as long as the first ones at
 * the end of a run, however short the extension is.
 */
final class Extension {
    /** Above it a step is no exact double any more. */
    private static final long LONGEST = 1L << 53;

    private Extension() {}

    static LngdOptions of(LngdOptions options, long steps) {
        long end = options.schedule().end();
        if (end == Long.MAX_VALUE) {
            throw Check.bad(
                    "schedule",
                    options.schedule(),
                    "one with an end: this one has none, so that there is nothing to extend");
        }
        if (steps < 1 || steps > LONGEST - end) {
            throw Check.bad("steps", steps, "1 to " + (LONGEST - end));
        }
        if (end < 1) {
            throw Check.bad("schedule", options.schedule(), "one that ends at step 1 or later");
        }
        LngdOptions.Builder b = options.toBuilder();
        long to = end + steps;
        b.schedule(options.schedule().stretched(end, to))
                .dampingSchedule(stretched(options.dampingSchedule(), end, to))
                .statisticsIntervalSchedule(
                        stretched(options.statisticsIntervalSchedule(), end, to))
                .inverseIntervalSchedule(stretched(options.inverseIntervalSchedule(), end, to));
        if (options.totalSteps() > 0) {
            scale(options, b, options.totalSteps() + steps);
        }
        return b.build();
    }

    private static Schedule stretched(Schedule schedule, long from, long to) {
        return schedule == null ? null : schedule.stretched(from, to);
    }

    /**
     * Tau by the rule of the preset, tau / sqrt(length + constant) in all of them: as a ratio, so
     * that it holds for a tau that was recommended or set by hand too. Intervals only where they
     * are the preset's.
     */
    private static void scale(LngdOptions options, LngdOptions.Builder b, long length) {
        OptionValues told = OptionValues.of(options.preset(), options.totalSteps());
        OptionValues longer = OptionValues.of(options.preset(), length);
        b.v.totalSteps = length;
        if (told.trustRatio > 0) {
            b.v.trustRatio = options.trustRatio() * (longer.trustRatio / told.trustRatio);
        }
        if (options.statisticsInterval() == told.statisticsInterval) {
            b.v.statisticsInterval = longer.statisticsInterval;
        }
        if (options.inverseInterval() == told.inverseInterval) {
            b.v.inverseInterval = longer.inverseInterval;
        }
    }
}
