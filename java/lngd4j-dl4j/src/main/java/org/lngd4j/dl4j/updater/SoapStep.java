// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * SOAP for one matrix; the formulas are in {@link Soap}. Arrays are transposes of the paper's, so
 * the paper's R belongs to their rows ("inputs") and L to their columns ("outputs").
 *
 * <p>The state: Adam steps so far plus one, steps since the last basis, M', V, then for each side
 * the factor and the basis.
 */
final class SoapStep extends UpdaterStep<SoapUpdater> {
    static final int COUNTERS = 2;

    /** Floats count exactly up to here; Adam's corrections have long been 1. */
    private static final float LAST_COUNT = 1 << 24;

    private final MatrixShape shape;
    private final INDArray counters;
    private final INDArray means;
    private final INDArray squares;
    private final Eigenbasis inputs;
    private final Eigenbasis outputs;
    private INDArray first;
    private INDArray second;

    SoapStep(SoapUpdater config, INDArray state) {
        super(config, state);
        shape = config.shape();
        counters = state(0, COUNTERS);
        long at = COUNTERS;
        means = state(at, shape.size());
        at += shape.size();
        squares = state(at, shape.size());
        at += shape.size();
        inputs = side(at, shape.inputs());
        at += config.sideState(shape.inputs());
        outputs = side(at, shape.outputs());
    }

    /** Null where the basis is the identity. */
    private Eigenbasis side(long at, long side) {
        long length = getConfig().sideState(side);
        return length == 0 ? null : new Eigenbasis(state(at, length), side, getConfig().layer());
    }

    @Override
    public void applyUpdater(INDArray gradient, int iteration, int epoch) {
        allocate();
        INDArray flat = gradient.reshape(1, gradient.length());
        INDArray g = shape.transposed(flat);
        long step = (long) counters.getFloat(0);
        if (step == 0) {
            average(g);
            decompose();
            flat.assign(0);
        } else {
            rotate(g, true, first); // G' = Q_L^T G Q_R
            INDArray direction = first.reshape('f', 1, first.length());
            getConfig()
                    .adam(getConfig().getLearningRate(iteration, epoch))
                    .apply(direction, means, squares, step);
            average(g);
            rotate(first, false, g); // Q_L N' Q_R^T
            count(step);
        }
        counters.putScalar(0, Math.min(step + 1, LAST_COUNT));
    }

    private void count(long step) {
        float since = counters.getFloat(1) + 1;
        if (since >= getConfig().frequency()) {
            turn();
            since = 0;
        }
        counters.putScalar(1, since);
    }

    private void average(INDArray g) {
        double beta = getConfig().shampooBeta();
        if (inputs != null) {
            inputs.average(g, true, beta);
        }
        if (outputs != null) {
            outputs.average(g, false, beta);
        }
    }

    private void decompose() {
        if (inputs != null) {
            inputs.decompose();
        }
        if (outputs != null) {
            outputs.decompose();
        }
    }

    /** Into the basis ({@code forward}) or out of it. {@code x} is left as it is. */
    private void rotate(INDArray x, boolean forward, INDArray result) {
        INDArray between = outputs == null ? result : second;
        if (inputs == null) {
            between.assign(x);
        } else {
            Blas.multiply(inputs.basis(), forward, x, false, between);
        }
        if (outputs != null) {
            Blas.multiply(between, false, outputs.basis(), !forward, result);
        }
    }

    /** New bases; M' goes out of the old ones and into the new ones, V is sorted as they are. */
    private void turn() {
        rotate(shape.transposed(means), false, first);
        INDArray v = shape.transposed(squares);
        if (inputs != null) {
            inputs.turn(v, 0);
        }
        if (outputs != null) {
            outputs.turn(v, 1);
        }
        rotate(first, true, shape.transposed(means));
    }

    private void allocate() {
        if (first == null) {
            first = Blas.matrix(shape.inputs(), shape.outputs());
            second = Blas.matrix(shape.inputs(), shape.outputs());
        }
    }
}
