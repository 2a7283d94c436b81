// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.nd4j.linalg.api.ndarray.INDArray;

/** Sees the backward pass of one layer. */
interface BackpropWatch {
    /**
     * Called with the pre-activations before DL4J goes on, since ReLU and others overwrite them.
     */
    void before(INDArray preActivations);

    /**
     * Called with dL/ds, a sum over the batch of nothing: row n is that of sample n.
     *
     * @param masked whether the mask of the samples is in it already
     */
    void after(INDArray delta, boolean masked);
}
