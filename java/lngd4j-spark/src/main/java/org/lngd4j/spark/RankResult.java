// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.Serializable;
import java.util.List;

/**
 * What a task gives back.
 *
 * @param rank from 0
 * @param refused why nothing was trained; null: it was
 * @param report of this rank
 * @param checksum of the parameters
 * @param weights of rank 0, in chunks; empty on the others
 * @param epochs of rank 0
 * @param registration what was done with each parameter, of rank 0
 */
record RankResult(
        int rank,
        String refused,
        RankReport report,
        long checksum,
        List<byte[]> weights,
        List<EpochMetrics> epochs,
        String registration)
        implements Serializable {
    static RankResult refused(int rank, String message) {
        return new RankResult(rank, message, null, 0, List.of(), List.of(), "");
    }
}
