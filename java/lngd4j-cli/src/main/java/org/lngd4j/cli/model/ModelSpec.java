// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import org.nd4j.linalg.learning.config.IUpdater;

/**
 * A network that {@code --model} can name, sized for a data set. Its text tells everything that
 * decides the shapes: a checkpoint is refused where it differs.
 */
public interface ModelSpec {
    /** Whether its targets are its inputs; otherwise they are classes. */
    boolean reconstructs();

    /** The number of trained weights and biases (without the running statistics of batch norm). */
    long parameters();

    /**
     * A network with fresh weights.
     *
     * @param seed decides the weights
     * @param updater DL4J's updater of all layers
     */
    Dl4jNetwork build(long seed, IUpdater updater);
}
