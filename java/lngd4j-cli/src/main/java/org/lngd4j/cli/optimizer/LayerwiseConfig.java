// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.optimizer;

import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.GradientUpdater;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.schedule.ISchedule;

/**
 * DL4J's configuration of LARS or LAMB. After the network is made, {@link
 * LayerwiseUpdater#bind(java.util.List)} has to tell the updaters where the weights are: DL4J shows
 * an updater nothing but gradients.
 *
 * <p>Equal configurations are equal, so that DL4J makes one block of a whole network.
 *
 * @param rule which of the two
 * @param rate the step's length over the length of the layer's weights (for LARS: before momentum)
 * @param momentum of LARS; LAMB's beta1
 * @param weightDecay added to the gradient (LARS) or the direction (LAMB), times the weights
 */
public record LayerwiseConfig(Rule rule, ISchedule rate, double momentum, double weightDecay)
        implements IUpdater {
    /** The two optimizers that scale every layer's step by the length of its weights. */
    public enum Rule {
        /** You, Gitman, Ginsburg 2017. */
        LARS,
        /** You et al. 2020. */
        LAMB
    }

    private static final long serialVersionUID = 1L;

    @Override
    public long stateSize(long parameters) {
        return rule == Rule.LARS ? parameters : 2 * parameters;
    }

    @Override
    public GradientUpdater<?> instantiate(INDArray state, boolean initialise) {
        if (initialise) {
            state.assign(0);
        }
        return rule == Rule.LARS ? new LarsUpdater(this, state) : new LambUpdater(this, state);
    }

    @Override
    public GradientUpdater<?> instantiate(Map<String, INDArray> state, boolean initialise) {
        throw new UnsupportedOperationException("only networks with one state vector");
    }

    // Unchangeable, so a copy is itself.
    @Override
    public LayerwiseConfig clone() {
        return this;
    }

    @Override
    public double getLearningRate(int iteration, int epoch) {
        return rate.valueAt(iteration, epoch);
    }

    @Override
    public boolean hasLearningRate() {
        return true;
    }

    @Override
    public void setLrAndSchedule(double newRate, ISchedule schedule) {
        throw new UnsupportedOperationException("the schedule is fixed");
    }
}
