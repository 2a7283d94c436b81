// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.lngd4j.adapter.TargetNoise;
import org.nd4j.common.primitives.Pair;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.lossfunctions.ILossFunction;

/**
 * The loss of an output in a pass for the Fisher matrix: -log p(y | s) for targets that are drawn
 * from the model itself. The labels that DL4J passes are not looked at. It has no score.
 */
final class SampledLoss implements ILossFunction {
    private static final long serialVersionUID = 1L;

    private final String name;
    private final PredictiveModel model;
    private transient TargetNoise noise;
    private transient long first;
    private transient long samples;

    SampledLoss(String name, PredictiveModel model) {
        this.name = name;
        this.model = model;
    }

    /**
     * Where the targets of the next pass come from.
     *
     * @param firstSample number of the first sample in the whole batch
     * @param passed samples of the pass
     */
    void noise(TargetNoise value, long firstSample, long passed) {
        noise = value;
        first = firstSample;
        samples = passed;
    }

    @Override
    public INDArray computeGradient(
            INDArray labels, INDArray preOutput, IActivation activation, INDArray mask) {
        long rows = preOutput.size(0) / samples; // of a sample
        INDArray gradient = model.gradient(preOutput, activation, noise, first * rows);
        if (mask != null) {
            // A row or an element that is masked has no part in the loss.
            INDArray m = mask.castTo(gradient.dataType());
            if (m.isColumnVectorOrScalar()) {
                gradient.muliColumnVector(m);
            } else {
                gradient.muli(m);
            }
        }
        return gradient;
    }

    @Override
    public Pair<Double, INDArray> computeGradientAndScore(
            INDArray labels,
            INDArray preOutput,
            IActivation activation,
            INDArray mask,
            boolean average) {
        return new Pair<>(0.0, computeGradient(labels, preOutput, activation, mask));
    }

    @Override
    public double computeScore(
            INDArray labels,
            INDArray preOutput,
            IActivation activation,
            INDArray mask,
            boolean average) {
        return 0;
    }

    @Override
    public INDArray computeScoreArray(
            INDArray labels, INDArray preOutput, IActivation activation, INDArray mask) {
        throw new UnsupportedOperationException("the loss of sampled targets has no score");
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String toString() {
        return name;
    }
}
