// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.lngd4j.adapter.TargetNoise;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationSigmoid;
import org.nd4j.linalg.activations.impl.ActivationSoftmax;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.lossfunctions.ILossFunction;
import org.nd4j.linalg.lossfunctions.impl.LossBinaryXENT;
import org.nd4j.linalg.lossfunctions.impl.LossKLD;
import org.nd4j.linalg.lossfunctions.impl.LossL2;
import org.nd4j.linalg.lossfunctions.impl.LossMCXENT;
import org.nd4j.linalg.lossfunctions.impl.LossMSE;
import org.nd4j.linalg.lossfunctions.impl.LossNegativeLogLikelihood;
import org.nd4j.linalg.lossfunctions.impl.LossSparseMCXENT;

/** The distribution p(y | s) whose negative logarithm a loss is, but for constants. */
enum PredictiveModel {
    /** y ~ p = softmax(s): g = p - onehot(y). */
    CATEGORICAL {
        @Override
        INDArray gradient(INDArray s, IActivation phi, TargetNoise noise, long first) {
            float[] p = flat(phi.getActivation(s.dup('c'), true));
            int classes = (int) s.size(1);
            for (int row = 0; row < p.length; row += classes) {
                p[row + draw(p, row, classes, noise.uniform(first + row / classes))] -= 1;
            }
            return matrix(p, s);
        }
    },
    /** y_i ~ p_i = sigmoid(s_i), independent: g = p - y. */
    BERNOULLI {
        @Override
        INDArray gradient(INDArray s, IActivation phi, TargetNoise noise, long first) {
            float[] p = flat(phi.getActivation(s.dup('c'), true));
            long from = first * s.size(1);
            for (int i = 0; i < p.length; i++) {
                p[i] -= noise.uniform(from + i) < p[i] ? 1 : 0;
            }
            return matrix(p, s);
        }
    },
    /**
     * y = phi(s) + eps, eps ~ N(0, I): g = -(d phi / d s)^T eps. The variance is 1 whatever factor
     * DL4J's loss has (MSE divides by the outputs), as in the layer-wise model.
     */
    GAUSSIAN {
        @Override
        INDArray gradient(INDArray s, IActivation phi, TargetNoise noise, long first) {
            float[] eps = new float[(int) s.length()];
            long from = first * s.size(1);
            for (int i = 0; i < eps.length; i++) {
                eps[i] = (float) -noise.normal(from + i);
            }
            return phi.backprop(s.dup(), matrix(eps, s)).getFirst();
        }
    };

    /**
     * The model of an output, or null where the loss is no logarithm of one that can be drawn from.
     * By exact class: a subclass may compute another loss.
     */
    static PredictiveModel of(IActivation phi, ILossFunction loss) {
        Class<?> type = loss.getClass();
        if (phi instanceof ActivationSoftmax
                && (type == LossMCXENT.class
                        || type == LossNegativeLogLikelihood.class
                        || type == LossSparseMCXENT.class
                        || type == LossKLD.class)) {
            return CATEGORICAL;
        }
        if (phi instanceof ActivationSigmoid && type == LossBinaryXENT.class) {
            return BERNOULLI;
        }
        return type == LossL2.class || type == LossMSE.class ? GAUSSIAN : null;
    }

    /**
     * Draws targets and gives the gradient of -log p(y | s) in s.
     *
     * @param s pre-activations, N x m; left alone
     * @param phi the activation of the output
     * @param noise where the targets come from
     * @param first number of the first row in the whole batch, of which other ranks have the others
     * @return N x m, row n that of sample n
     */
    abstract INDArray gradient(INDArray s, IActivation phi, TargetNoise noise, long first);

    /** Row by row, in one copy: INDArray.toFloatMatrix makes a view and a copy of every row. */
    private static float[] flat(INDArray x) {
        return x.dup('c').reshape(x.length()).toFloatVector();
    }

    private static INDArray matrix(float[] rows, INDArray like) {
        return Nd4j.create(rows, new long[] {like.size(0), like.size(1)}, 'c');
    }

    /** The first class at which the running sum passes u: classes of probability 0 are never it. */
    private static int draw(float[] p, int first, int classes, double u) {
        double total = 0;
        for (int i = 0; i < classes; i++) {
            total += p[first + i];
        }
        double left = u * total;
        int last = 0;
        for (int i = 0; i < classes; i++) {
            if (p[first + i] > 0) {
                left -= p[first + i];
                last = i;
                if (left < 0) {
                    break;
                }
            }
        }
        return last;
    }
}
