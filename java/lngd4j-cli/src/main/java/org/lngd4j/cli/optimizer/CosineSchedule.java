// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.optimizer;

import org.nd4j.linalg.schedule.ISchedule;

/**
 * DL4J's learning rate as half a cosine from a peak at step 0 to 0 after the last step: LNGD's own
 * schedule.
 */
public final class CosineSchedule implements ISchedule {
    private static final long serialVersionUID = 1L;

    private final double peak;
    private final long steps;

    public CosineSchedule(double peak, long steps) {
        this.peak = peak;
        this.steps = steps;
    }

    @Override
    public double valueAt(int iteration, int epoch) {
        double part = Math.min(1.0, (double) iteration / steps);
        return peak * 0.5 * (1 + Math.cos(Math.PI * part));
    }

    // Unchangeable, so a copy is itself.
    @Override
    public ISchedule clone() {
        return this;
    }
}
