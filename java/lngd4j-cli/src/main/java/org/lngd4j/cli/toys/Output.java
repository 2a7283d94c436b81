// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.nio.FloatBuffer;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** The output of a network with its loss, as it is trained and as it is measured. */
enum Output {
    /** Classes: cross-entropy, in nats. */
    SOFTMAX(Activation.SOFTMAX, LossFunction.MCXENT) {
        @Override
        double loss(double y, double p) {
            // A probability may underflow to 0 in float; the smallest normal number keeps the mean
            // finite.
            return y == 0 ? 0 : -y * Math.log(Math.max(p, Float.MIN_NORMAL));
        }
    },
    /** Labels or intensities: binary cross-entropy summed over the outputs, in nats. */
    SIGMOID(Activation.SIGMOID, LossFunction.XENT) {
        @Override
        double loss(double y, double p) {
            // DL4J's own clip: finite where a float has rounded to 0 or 1.
            double q = Math.min(1 - CLIP, Math.max(CLIP, p));
            return -y * Math.log(q) - (1 - y) * Math.log1p(-q);
        }
    },
    /** Real numbers: the squared error, its mean over the outputs. */
    LINEAR(Activation.IDENTITY, LossFunction.MSE) {
        @Override
        double loss(double y, double p) {
            return (p - y) * (p - y);
        }
    };

    private static final double CLIP = 1e-5;

    private final Activation activation;
    private final LossFunction loss;

    Output(Activation activation, LossFunction loss) {
        this.activation = activation;
        this.loss = loss;
    }

    Activation activation() {
        return activation;
    }

    LossFunction lossFunction() {
        return loss;
    }

    /** What one output adds to the loss of its sample. */
    abstract double loss(double y, double p);

    /**
     * What was measured.
     *
     * @param loss mean over the samples; NaN where the network gives NaN
     * @param accuracy share of right classes, or of right labels at a threshold of 1/2; NaN for
     *     real numbers
     */
    record Measure(double loss, double accuracy) {}

    /**
     * Compares a network's outputs with the targets.
     *
     * @param outputs [count, outputs] of all samples
     */
    Measure measure(INDArray outputs, Samples samples) {
        FloatBuffer p = outputs.dup('c').data().asNioFloat();
        int width = samples.outputs();
        double sum = 0;
        long right = 0;
        for (int i = 0; i < samples.count(); i++) {
            int best = 0;
            int label = 0;
            for (int k = 0; k < width; k++) {
                float y = samples.target(i, k);
                float out = p.get(i * width + k);
                sum += loss(y, out);
                if (this == SIGMOID && out > 0.5f == y > 0.5f) {
                    right++;
                }
                best = out > p.get(i * width + best) ? k : best;
                label = y > samples.target(i, label) ? k : label;
            }
            if (this == SOFTMAX && best == label) {
                right++;
            }
        }
        double accuracy =
                switch (this) {
                    case SOFTMAX -> (double) right / samples.count();
                    case SIGMOID -> (double) right / samples.count() / width;
                    case LINEAR -> Double.NaN;
                };
        return new Measure(sum / samples.count() / (this == LINEAR ? width : 1), accuracy);
    }
}
