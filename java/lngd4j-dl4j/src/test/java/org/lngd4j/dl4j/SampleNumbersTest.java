// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.adapter.TargetNoise;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** Targets are drawn by the number of a sample in the whole batch, whichever rank has it. */
class SampleNumbersTest {
    private static final int SAMPLES = 6;
    private static final int ROWS = 4; // of a sample, such as the positions of an image
    private static final int FIRST = 2; // sample of the share
    private static final int SHARE = 3;

    private static IActivation phi(PredictiveModel model) {
        return switch (model) {
            case CATEGORICAL -> Activation.SOFTMAX.getActivationFunction();
            case BERNOULLI -> Activation.SIGMOID.getActivationFunction();
            case GAUSSIAN -> Activation.IDENTITY.getActivationFunction();
        };
    }

    @ParameterizedTest
    @EnumSource(PredictiveModel.class)
    void aShareHasTheTargetsOfItsSamples(PredictiveModel model) {
        INDArray s = Nd4j.zeros(SAMPLES * ROWS, 3); // targets are all that can differ
        TargetNoise noise = new TargetNoise(1, 2, 0);
        INDArray whole = model.gradient(s, phi(model), noise, 0);
        SampledLoss loss = new SampledLoss("of a test", model);
        loss.noise(noise, FIRST, SHARE);
        INDArray share = loss.computeGradient(null, Nd4j.zeros(SHARE * ROWS, 3), phi(model), null);
        assertThat(share).isEqualTo(rows(whole, FIRST * ROWS));
        assertThat(share).isNotEqualTo(rows(whole, 0));
    }

    private static INDArray rows(INDArray whole, int first) {
        return whole.get(NDArrayIndex.interval(first, first + SHARE * ROWS), NDArrayIndex.all())
                .dup();
    }
}
