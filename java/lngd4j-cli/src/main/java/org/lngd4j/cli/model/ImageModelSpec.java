// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import org.nd4j.linalg.learning.config.IUpdater;

/** A network that learns images. */
public interface ImageModelSpec extends ModelSpec {
    /** Whether its targets are its inputs; otherwise they are classes. */
    boolean reconstructs();

    /**
     * A network with fresh weights.
     *
     * @param seed decides the weights
     * @param updater DL4J's updater of all layers
     */
    Dl4jNetwork build(long seed, IUpdater updater);
}
