// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.Arrays;
import java.util.List;
import org.deeplearning4j.nn.api.Layer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.INDArrayIndex;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * A second network of DL4J on the parameter array of the first, with a configuration and a gradient
 * array of its own, so that a backward pass through it leaves nothing behind in the first: neither
 * gradients nor activations, nor the batch statistics that batch normalisation hands its updater.
 */
interface Shadow {
    /** Its layers, in the order of the first network's units. */
    List<Unit> units();

    /** Its output layers. */
    List<Layer> outputs();

    /**
     * How many samples {@link #pass} passes.
     *
     * @param wanted the first so many; 0: all
     * @throws org.lngd4j.nativelib.LngdStateException if there is no batch in the first network
     */
    long samples(int wanted);

    /**
     * Forward and backward pass over the batch that is in the first network now. Its masks hold
     * here too; a batch with masks is passed whole.
     *
     * @param samples the first so many; 0: all
     * @param lowest nothing below the unit of this index needs to be passed backward
     * @throws org.lngd4j.nativelib.LngdStateException if there is no batch in the first network
     */
    void pass(int samples, int lowest);

    /** The first rows of a batch; a view. */
    static INDArray first(INDArray batch, long rows) {
        if (batch == null || rows == 0 || batch.size(0) <= rows) {
            return batch;
        }
        INDArrayIndex[] part = new INDArrayIndex[batch.rank()];
        Arrays.fill(part, NDArrayIndex.all());
        part[0] = NDArrayIndex.interval(0, rows);
        return batch.get(part);
    }
}
