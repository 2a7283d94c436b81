// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.PrintStream;
import java.util.Locale;
import org.lngd4j.cli.support.Terminal;

/**
 * Tells the user how ranks get on: a bar on a terminal, a line for each epoch elsewhere; and where
 * they were started again after a failure.
 */
final class ClusterProgress implements AutoCloseable {
    private final PrintStream err;
    private final boolean checkpoints;
    private final long totalSteps;
    private final int perEpoch;
    private final BarProgress bar; // null: lines
    private int attempt;
    private long epoch;
    private long since; // when this attempt's first news came
    private long sinceSamples;

    ClusterProgress(PrintStream err, boolean checkpoints, long totalSteps, int perEpoch) {
        this.err = err;
        this.checkpoints = checkpoints;
        this.totalSteps = totalSteps;
        this.perEpoch = perEpoch;
        this.bar = Terminal.errorIsInteractive() ? new BarProgress(0, totalSteps) : null;
    }

    /** In a thread of the cluster's, whenever there are news. */
    void told(ClusterTraining.Position position) {
        long now = System.nanoTime();
        if (position.attempt() > attempt) {
            attempt = position.attempt();
            since = 0;
            err.println(
                    "lngd: a rank has failed or was lost; all go on from the "
                            + (checkpoints ? "last checkpoint" : "start, without --checkpoint")
                            + ", attempt "
                            + (attempt + 1));
        }
        if (position.step() == 0) {
            return; // of other ranks than the one that counts steps
        }
        if (since == 0) {
            since = now;
            sinceSamples = position.samples();
            return; // a rate takes two
        }
        double perSecond = (position.samples() - sinceSamples) / ((now - since) / 1e9);
        if (bar != null) {
            bar.step(position.step(), position.loss(), perSecond);
        } else if (position.step() / perEpoch != epoch) {
            epoch = position.step() / perEpoch;
            err.printf(
                    Locale.ROOT,
                    "epoch %.2f  step %d of %d  train loss %.4f  %,.0f samples/s%n",
                    (double) position.step() / perEpoch,
                    position.step(),
                    totalSteps,
                    position.loss(),
                    perSecond);
        }
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
