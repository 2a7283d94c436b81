// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.optimizer;

import java.util.function.Supplier;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Averaged weights of a network that DL4J's own updaters train: after step t = 0, 1, ... {@code avg
 * += c / (c + t) (W - avg)} with c = 8, the same rule as LNGD's, so that a comparison is between
 * optimizers and not between averaging and none. About the last eighth of the run counts, whatever
 * its length.
 */
public final class WeightAverage {
    private static final double C = 8;

    private final INDArray weights;
    private final INDArray average;
    private final INDArray trained;
    private long steps;
    private boolean swapped;

    /**
     * @param weights the network's parameters, live: one float vector
     */
    public WeightAverage(INDArray weights) {
        this.weights = weights;
        this.average = weights.dup();
        this.trained = weights.ulike();
    }

    /** The share that the weights after step {@code t}, counted from 0, have in the average. */
    public static double share(long t) {
        return C / (C + t);
    }

    /** Takes the weights after a step into the average. */
    public void afterStep() {
        if (swapped) {
            throw new IllegalStateException(
                    "a step was taken while the averaged weights are in the network");
        }
        double share = share(steps);
        // avg + share (W - avg) without a temporary array: both passes are in place.
        average.muli(1 - share);
        Nd4j.getBlasWrapper().level1().axpy(weights.length(), share, weights, average);
        steps++;
    }

    /** Calls {@code action} while the average is in the network. */
    public <T> T callWithAverage(Supplier<T> action) {
        if (swapped) {
            throw new IllegalStateException("the averaged weights are in the network already");
        }
        trained.assign(weights);
        weights.assign(average);
        swapped = true;
        try {
            return action.get();
        } finally {
            weights.assign(trained);
            swapped = false;
        }
    }

    /** The average, live. */
    public INDArray average() {
        return average;
    }

    /** Steps that went into it. */
    public long steps() {
        return steps;
    }

    /** Takes up an average that was saved. */
    public void restore(INDArray savedAverage, long savedSteps) {
        average.assign(savedAverage);
        steps = savedSteps;
    }
}
