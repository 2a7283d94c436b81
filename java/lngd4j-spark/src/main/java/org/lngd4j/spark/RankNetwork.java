// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import org.lngd4j.InversePlacement;
import org.lngd4j.KernelTimes;
import org.lngd4j.gloo.Ranks;

/**
 * The copy of the network that a rank trains, of whatever framework. Made, called and closed by the
 * thread of one task.
 */
interface RankNetwork<S> extends AutoCloseable {
    /**
     * Makes the network and decides on the options: what may fail on one rank alone.
     *
     * @param cpus of this task
     */
    void prepare(long totalSteps, int batch, int cpus);

    /** Attaches LNGD, on all ranks together. */
    void attach(Ranks ranks, InversePlacement inverses);

    /**
     * One step of all ranks.
     *
     * @param share this rank's samples, perhaps none
     * @param first where they begin in the whole batch
     * @return the sum of their losses
     */
    double step(List<S> share, long first);

    /** Tells LNGD's schedules the epoch. */
    void epoch(int epoch);

    /** Steps done. */
    long steps();

    /** Weights and the state of LNGD: whatever the next steps depend on. */
    void save(OutputStream out) throws IOException;

    /** The same, back; reads to the end. */
    void restore(InputStream in) throws IOException;

    /** What is done with each parameter, and why with these options. */
    String report();

    KernelTimes times();

    /** Detaches LNGD, which leaves the weights of the result in the network. */
    void finish();

    /** A checksum of the parameters, which are the same on all ranks; of no buffers. */
    long checksum();

    /** Writes parameters and buffers. */
    void write(OutputStream out) throws IOException;

    @Override
    void close();
}
