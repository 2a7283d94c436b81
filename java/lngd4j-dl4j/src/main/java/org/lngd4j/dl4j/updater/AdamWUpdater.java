// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.Map;
import java.util.Objects;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.GradientUpdater;
import org.nd4j.linalg.schedule.ISchedule;
import org.nd4j.shade.jackson.annotation.JsonProperty;

/**
 * DL4J's configuration of {@link AdamW}, without the decay: that is a {@link DecoupledDecay} of the
 * layer. Equal configurations are equal, so that DL4J makes one block of neighbouring arrays.
 */
final class AdamWUpdater extends ScheduledUpdater {
    private static final long serialVersionUID = 1L;

    @JsonProperty private final double beta1;
    @JsonProperty private final double beta2;
    @JsonProperty private final double epsilon;

    AdamWUpdater(
            @JsonProperty("rate") ISchedule rate,
            @JsonProperty("beta1") double beta1,
            @JsonProperty("beta2") double beta2,
            @JsonProperty("epsilon") double epsilon) {
        super(rate);
        this.beta1 = beta1;
        this.beta2 = beta2;
        this.epsilon = epsilon;
    }

    @Override
    public long stateSize(long parameters) {
        return 2 * parameters;
    }

    @Override
    GradientUpdater<?> step(INDArray state) {
        return new Step(this, state);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof AdamWUpdater that
                && rate().equals(that.rate())
                && beta1 == that.beta1
                && beta2 == that.beta2
                && epsilon == that.epsilon;
    }

    @Override
    public int hashCode() {
        return Objects.hash(rate(), beta1, beta2, epsilon);
    }

    @Override
    public String toString() {
        return "AdamW(" + rate() + ", " + beta1 + ", " + beta2 + ", " + epsilon + ")";
    }

    /** On a state of the running means, then the running squares. */
    private static final class Step extends UpdaterStep<AdamWUpdater> {
        private final INDArray means;
        private final INDArray squares;

        Step(AdamWUpdater config, INDArray state) {
            super(config, state);
            long half = state.length() / 2;
            means = state(0, half);
            squares = state(half, half);
        }

        // By names and parameter by parameter, so that LNGD can take a part of them over.
        @Override
        public Map<String, INDArray> getState() {
            return Map.of("M", means, "V", squares);
        }

        @Override
        public void applyUpdater(INDArray gradient, int iteration, int epoch) {
            AdamWUpdater c = getConfig();
            new AdamStep(c.getLearningRate(iteration, epoch), c.beta1, c.beta2, c.epsilon)
                    .apply(gradient, means, squares, iteration + 1L);
        }
    }
}
