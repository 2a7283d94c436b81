// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

/** Tells the user how a run gets on. */
interface Progress extends AutoCloseable {
    /**
     * After a step.
     *
     * @param step steps done
     * @param loss the batch's loss
     * @param samplesPerSecond of training time since the run or its resumption began
     */
    void step(long step, double loss, double samplesPerSecond);

    /** After an evaluation. */
    void evaluated(MetricsRow row, double samplesPerSecond);

    /** No more will come. */
    @Override
    void close();
}
