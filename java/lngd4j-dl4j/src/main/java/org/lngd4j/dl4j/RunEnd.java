// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.lngd4j.Schedule;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Counts and tells the updates that come after the end of the schedule. */
final class RunEnd {
    private static final Logger LOGGER = LoggerFactory.getLogger(LngdTraining.class);

    private long past;
    private boolean told;

    /** An update that moves nothing. */
    void pass(Schedule schedule, long steps) {
        past++;
        if (!told) {
            told = true;
            LOGGER.warn(
                    "the schedule {} has ended: from step {} on nothing is trained any more, neither by"
                            + " LNGD nor by other updaters. Tell LngdOptions the length of the whole"
                            + " run, or call LngdTraining.extend",
                    schedule,
                    steps);
        }
    }

    /** The end was put off; the next one is told again. */
    void moved() {
        told = false;
    }

    void restored() {
        past = 0;
        told = false;
    }

    void tellAtClose(Schedule schedule) {
        if (past > 0) {
            LOGGER.warn(
                    "{} updates after the end of the schedule {} have moved nothing",
                    past,
                    schedule);
        }
    }

    long past() {
        return past;
    }
}
