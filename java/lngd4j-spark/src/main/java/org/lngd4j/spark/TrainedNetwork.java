// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.util.List;

/**
 * A trained network, and how its training went.
 *
 * @param model the network on the driver, with the weights of the last step, or their averages
 *     where the options have averaging on
 * @param epochs what each epoch of the last attempt was like
 * @param ranks what each rank did, by rank
 * @param report what was done with each parameter, and why with these options
 * @param <M> the network
 */
public record TrainedNetwork<M>(
        M model, List<EpochMetrics> epochs, List<RankReport> ranks, String report) {
    static <M> TrainedNetwork<M> of(M model, List<RankResult> results) {
        return new TrainedNetwork<>(
                model,
                results.get(0).epochs(),
                results.stream().map(RankResult::report).toList(),
                results.get(0).registration());
    }
}
