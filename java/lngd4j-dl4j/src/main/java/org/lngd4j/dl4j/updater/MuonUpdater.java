// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.Objects;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.GradientUpdater;
import org.nd4j.linalg.schedule.ISchedule;
import org.nd4j.shade.jackson.annotation.JsonProperty;

/**
 * DL4J's configuration of {@link Muon} for the weight matrix of one layer. The layer's name is in
 * it to make it unlike that of every other layer: DL4J would put equal neighbours into one block.
 */
final class MuonUpdater extends ScheduledUpdater {
    private static final long serialVersionUID = 1L;

    @JsonProperty private final String layer;
    @JsonProperty private final long outputs;
    @JsonProperty private final long inputs;
    @JsonProperty private final double momentum;
    @JsonProperty private final boolean nesterov;
    @JsonProperty private final int steps;
    @JsonProperty private final MuonScale scale;

    MuonUpdater(
            @JsonProperty("rate") ISchedule rate,
            @JsonProperty("layer") String layer,
            @JsonProperty("outputs") long outputs,
            @JsonProperty("inputs") long inputs,
            @JsonProperty("momentum") double momentum,
            @JsonProperty("nesterov") boolean nesterov,
            @JsonProperty("steps") int steps,
            @JsonProperty("scale") MuonScale scale) {
        super(rate);
        this.layer = layer;
        this.outputs = outputs;
        this.inputs = inputs;
        this.momentum = momentum;
        this.nesterov = nesterov;
        this.steps = steps;
        this.scale = scale;
    }

    @Override
    public long stateSize(long parameters) {
        return parameters;
    }

    @Override
    GradientUpdater<?> step(INDArray state) {
        return new Step(this, state);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof MuonUpdater that
                && rate().equals(that.rate())
                && layer.equals(that.layer)
                && outputs == that.outputs
                && inputs == that.inputs
                && momentum == that.momentum
                && nesterov == that.nesterov
                && steps == that.steps
                && scale == that.scale;
    }

    @Override
    public int hashCode() {
        return Objects.hash(rate(), layer, outputs, inputs, momentum, nesterov, steps, scale);
    }

    @Override
    public String toString() {
        return "Muon(" + layer + ", " + outputs + " x " + inputs + ", " + rate() + ")";
    }

    /** On a state that is the momentum. */
    private static final class Step extends UpdaterStep<MuonUpdater> {
        private final MatrixShape shape;
        private final INDArray momentum;
        private final NewtonSchulz newtonSchulz;

        Step(MuonUpdater config, INDArray state) {
            super(config, state);
            shape = new MatrixShape(config.outputs, config.inputs);
            momentum = state(0, shape.size());
            newtonSchulz = new NewtonSchulz(shape);
        }

        @Override
        public void applyUpdater(INDArray gradient, int iteration, int epoch) {
            MuonUpdater c = getConfig();
            INDArray flat = gradient.reshape(1, gradient.length());
            momentum.muli(c.momentum).addi(flat); // M = momentum M + G
            if (c.nesterov) { // G + momentum M, in G's memory
                Blas.addScaled(c.momentum, momentum, flat);
            } else {
                flat.assign(momentum);
            }
            newtonSchulz.orthogonalise(flat, c.steps);
            flat.muli(c.getLearningRate(iteration, epoch) * c.scale.of(shape));
        }
    }
}
