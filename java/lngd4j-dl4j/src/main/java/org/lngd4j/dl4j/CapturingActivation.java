// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.nd4j.common.primitives.Pair;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * The activation of a hidden layer, seen through a {@link BackpropWatch}. Computes nothing itself.
 */
final class CapturingActivation implements IActivation {
    private static final long serialVersionUID = 1L;

    private final IActivation delegate;
    private final transient BackpropWatch watch;

    CapturingActivation(IActivation delegate, BackpropWatch watch) {
        this.delegate = delegate;
        this.watch = watch;
    }

    @Override
    public INDArray getActivation(INDArray in, boolean training) {
        return delegate.getActivation(in, training);
    }

    @Override
    public Pair<INDArray, INDArray> backprop(INDArray in, INDArray epsilon) {
        watch.before(in);
        Pair<INDArray, INDArray> result = delegate.backprop(in, epsilon);
        watch.after(result.getFirst(), false);
        return result;
    }

    @Override
    public int numParams(int inputSize) {
        return delegate.numParams(inputSize);
    }

    @Override
    public String toString() {
        return delegate.toString();
    }

    /** Java serialisation writes the activation itself. */
    private Object writeReplace() {
        return delegate;
    }
}
