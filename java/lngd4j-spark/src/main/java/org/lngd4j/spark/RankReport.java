// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.Serializable;

/**
 * What a rank did, in the attempt that succeeded.
 *
 * @param rank from 0
 * @param host where it ran, as Spark has it, with the executor's port
 * @param samples how many were its own
 * @param steps steps of this attempt
 * @param seconds in the training, from the first step to the last
 * @param waiting seconds of it in collectives: for other ranks, and for the network. Not in those
 *     that go on during a backward pass
 * @param collectives how many there were
 * @param collectiveBytes what this rank gave to them
 * @param statistics seconds of it in LNGD's statistics
 * @param inverses seconds of it in LNGD's inverses
 * @param update seconds of it in LNGD's directions and updates
 */
public record RankReport(
        int rank,
        String host,
        long samples,
        long steps,
        double seconds,
        double waiting,
        long collectives,
        long collectiveBytes,
        double statistics,
        double inverses,
        double update)
        implements Serializable {}
