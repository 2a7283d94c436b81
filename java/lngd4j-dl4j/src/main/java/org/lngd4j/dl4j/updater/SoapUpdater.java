// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.Objects;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.GradientUpdater;
import org.nd4j.linalg.schedule.ISchedule;
import org.nd4j.shade.jackson.annotation.JsonProperty;

/** DL4J's configuration of {@link Soap} for the weight matrix of one layer. */
final class SoapUpdater extends ScheduledUpdater {
    private static final long serialVersionUID = 1L;

    @JsonProperty private final String layer;
    @JsonProperty private final long outputs;
    @JsonProperty private final long inputs;
    @JsonProperty private final double beta1;
    @JsonProperty private final double beta2;
    @JsonProperty private final double shampooBeta;
    @JsonProperty private final double epsilon;
    @JsonProperty private final int frequency;
    @JsonProperty private final int largest;

    SoapUpdater(
            @JsonProperty("rate") ISchedule rate,
            @JsonProperty("layer") String layer,
            @JsonProperty("outputs") long outputs,
            @JsonProperty("inputs") long inputs,
            @JsonProperty("beta1") double beta1,
            @JsonProperty("beta2") double beta2,
            @JsonProperty("shampooBeta") double shampooBeta,
            @JsonProperty("epsilon") double epsilon,
            @JsonProperty("frequency") int frequency,
            @JsonProperty("largest") int largest) {
        super(rate);
        this.layer = layer;
        this.outputs = outputs;
        this.inputs = inputs;
        this.beta1 = beta1;
        this.beta2 = beta2;
        this.shampooBeta = shampooBeta;
        this.epsilon = epsilon;
        this.frequency = frequency;
        this.largest = largest;
    }

    String layer() {
        return layer;
    }

    MatrixShape shape() {
        return new MatrixShape(outputs, inputs);
    }

    AdamStep adam(double learningRate) {
        return new AdamStep(learningRate, beta1, beta2, epsilon);
    }

    double shampooBeta() {
        return shampooBeta;
    }

    int frequency() {
        return frequency;
    }

    /** Numbers of a side's state; 0 for a side that keeps the identity. */
    long sideState(long side) {
        return side > largest ? 0 : Eigenbasis.stateSize(side);
    }

    @Override
    public long stateSize(long parameters) {
        return SoapStep.COUNTERS + 2 * parameters + sideState(outputs) + sideState(inputs);
    }

    @Override
    GradientUpdater<?> step(INDArray state) {
        return new SoapStep(this, state);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof SoapUpdater that
                && rate().equals(that.rate())
                && layer.equals(that.layer)
                && outputs == that.outputs
                && inputs == that.inputs
                && beta1 == that.beta1
                && beta2 == that.beta2
                && shampooBeta == that.shampooBeta
                && epsilon == that.epsilon
                && frequency == that.frequency
                && largest == that.largest;
    }

    @Override
    public int hashCode() {
        return Objects.hash(
                rate(),
                layer,
                outputs,
                inputs,
                beta1,
                beta2,
                shampooBeta,
                epsilon,
                frequency,
                largest);
    }

    @Override
    public String toString() {
        return "Soap(" + layer + ", " + outputs + " x " + inputs + ", " + rate() + ")";
    }
}
