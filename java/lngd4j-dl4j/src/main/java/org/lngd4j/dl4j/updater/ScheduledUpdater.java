// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.GradientUpdater;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.schedule.ISchedule;
import org.nd4j.shade.jackson.annotation.JsonProperty;

/**
 * What DL4J's configuration of an updater is in this package: unchangeable, with a schedule. Its
 * subclasses go into the JSON of a network's configuration, field by field.
 */
abstract class ScheduledUpdater implements IUpdater {
    private static final long serialVersionUID = 1L;

    @JsonProperty private final ISchedule rate;

    ScheduledUpdater(ISchedule rate) {
        this.rate = rate;
    }

    ISchedule rate() {
        return rate;
    }

    @Override
    public final GradientUpdater<?> instantiate(INDArray state, boolean initialise) {
        if (initialise) {
            state.assign(0);
        }
        return step(state);
    }

    /** The code for a state vector, which is zeros at first. */
    abstract GradientUpdater<?> step(INDArray state);

    @Override
    public final GradientUpdater<?> instantiate(Map<String, INDArray> state, boolean initialise) {
        throw new UnsupportedOperationException("only networks with one state vector");
    }

    // Unchangeable, so a copy is itself.
    @Override
    public final IUpdater clone() {
        return this;
    }

    @Override
    public final double getLearningRate(int iteration, int epoch) {
        return rate.valueAt(iteration, epoch);
    }

    @Override
    public final boolean hasLearningRate() {
        return true;
    }

    /**
     * Refused: DL4J's {@code setLearningRate} would reach the weights and not the biases, which
     * have an updater of their own here.
     */
    @Override
    public final void setLrAndSchedule(double newRate, ISchedule schedule) {
        throw new UnsupportedOperationException(
                "the learning rate of "
                        + getClass().getSimpleName()
                        + " is fixed when it is installed; give it a schedule");
    }

    @Override
    public abstract boolean equals(Object other);

    @Override
    public abstract int hashCode();
}
