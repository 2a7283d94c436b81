// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.optimizer;

import org.nd4j.linalg.schedule.ISchedule;

/**
 * DL4J's learning rate as half a cosine from a peak at step 0 to 0 after the last step, times a
 * line that rises to 1 in the first steps: LNGD's own schedule.
 */
public final class CosineSchedule implements ISchedule {
    private static final long serialVersionUID = 1L;

    private final double peak;
    private final long steps;
    private final long warmup;

    /** Without a rise. */
    public CosineSchedule(double peak, long steps) {
        this(peak, steps, 0);
    }

    /**
     * @param warmup steps of the rise, 0: none
     */
    public CosineSchedule(double peak, long steps, long warmup) {
        this.peak = peak;
        this.steps = steps;
        this.warmup = warmup;
    }

    @Override
    public double valueAt(int iteration, int epoch) {
        double part = Math.min(1.0, (double) iteration / steps);
        double risen = warmup == 0 ? 1 : Math.min(1, (iteration + 1.0) / warmup);
        return peak * risen * 0.5 * (1 + Math.cos(Math.PI * part));
    }

    // Unchangeable, so a copy is itself.
    @Override
    public ISchedule clone() {
        return this;
    }
}
