// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.util.List;
import org.bytedeco.pytorch.Module;

/**
 * A trained module, and how its training went.
 *
 * @param model the module on the driver, with the weights of the last step, or their averages where
 *     the options have averaging on
 * @param epochs what each epoch of the last attempt was like
 * @param ranks what each rank did, by rank
 * @param report what was done with each parameter, and why with these options
 * @param <M> the module
 */
public record TrainedNetwork<M extends Module>(
        M model, List<EpochMetrics> epochs, List<RankReport> ranks, String report) {}
