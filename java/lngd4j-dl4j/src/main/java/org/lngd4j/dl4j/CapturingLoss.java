// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.nd4j.common.primitives.Pair;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.lossfunctions.ILossFunction;

/**
 * The loss of an output layer, seen through a {@link BackpropWatch}. The activation of an output
 * layer cannot be decorated instead: losses ask whether it is a softmax.
 */
final class CapturingLoss implements ILossFunction {
    private static final long serialVersionUID = 1L;

    private final ILossFunction delegate;
    private final transient BackpropWatch watch;

    CapturingLoss(ILossFunction delegate, BackpropWatch watch) {
        this.delegate = delegate;
        this.watch = watch;
    }

    @Override
    public double computeScore(
            INDArray labels,
            INDArray preOutput,
            IActivation activation,
            INDArray mask,
            boolean average) {
        return delegate.computeScore(labels, preOutput, activation, mask, average);
    }

    @Override
    public INDArray computeScoreArray(
            INDArray labels, INDArray preOutput, IActivation activation, INDArray mask) {
        return delegate.computeScoreArray(labels, preOutput, activation, mask);
    }

    @Override
    public INDArray computeGradient(
            INDArray labels, INDArray preOutput, IActivation activation, INDArray mask) {
        watch.before(preOutput);
        INDArray delta = delegate.computeGradient(labels, preOutput, activation, mask);
        watch.after(delta, true);
        return delta;
    }

    @Override
    public Pair<Double, INDArray> computeGradientAndScore(
            INDArray labels,
            INDArray preOutput,
            IActivation activation,
            INDArray mask,
            boolean average) {
        watch.before(preOutput);
        Pair<Double, INDArray> result =
                delegate.computeGradientAndScore(labels, preOutput, activation, mask, average);
        watch.after(result.getSecond(), true);
        return result;
    }

    @Override
    public String name() {
        return delegate.name();
    }

    @Override
    public String toString() {
        return delegate.toString();
    }

    /** Java serialisation writes the loss itself. */
    private Object writeReplace() {
        return delegate;
    }
}
