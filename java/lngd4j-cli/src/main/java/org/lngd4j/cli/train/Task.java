// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import org.lngd4j.cli.model.ModelSpec;
import org.lngd4j.cli.model.Network;

/** What a run learns: its data, its network, and how that is measured. */
interface Task extends AutoCloseable {
    /** The network's sizes. */
    ModelSpec spec();

    /** The network. */
    Network network();

    /** The data for people. */
    String data();

    /** Steps of an epoch. */
    int stepsPerEpoch();

    /** Rows that the network's dense layers see in a step: {@link RunLength#rows}. */
    int rowsPerStep();

    /**
     * Begins to load batches.
     *
     * @param step the first, counted through all epochs
     */
    void start(long step);

    /** Waits for the next batch. */
    void load();

    /** Forward and backward pass of the batch that was loaded; of DL4J the update too. */
    void fit();

    /** Measures the network as it is. */
    Measurement measure();

    /** Writes what the trained model cannot be used without, beside its weights. */
    default void writeFiles(RunFolder folder) throws IOException {
        // Images need nothing.
    }

    /** Loads no more. */
    @Override
    void close();
}
