// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.Arrays;
import org.lngd4j.LayerSamples;
import org.lngd4j.nd4j.Nd4jOptimizer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.INDArrayIndex;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * Inputs and deltas of one layer, copied out of DL4J's workspaces, whose memory is used again
 * before the step comes. Grows to the largest batch and is used again from then on.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class SampleBuffer {
    private final Nd4jOptimizer arrays;
    private final int layer;
    // The memory, and the first samples of it that this batch has.
    private INDArray inputs;
    private INDArray deltas;
    private INDArray firstInputs;
    private INDArray firstDeltas;
    private LayerSamples current;

    SampleBuffer(Nd4jOptimizer arrays, int layer) {
        this.arrays = arrays;
        this.layer = layer;
    }

    LayerSamples put(INDArray a, INDArray delta, INDArray mask) {
        if (current == null
                || !Arrays.equals(firstDeltas.shape(), delta.shape())
                || !Arrays.equals(firstInputs.shape(), a.shape())) {
            try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
                inputs = room(inputs, a);
                deltas = room(deltas, delta);
                firstInputs = first(inputs, a);
                firstDeltas = first(deltas, delta);
                current = arrays.samples(layer, firstInputs, firstDeltas);
            }
        }
        firstInputs.assign(a);
        firstDeltas.assign(delta);
        if (mask != null) {
            ArrayForm.mask(firstDeltas, mask.castTo(DataType.FLOAT));
        }
        return current;
    }

    /** The array, or a new one if this batch does not fit into it. */
    private static INDArray room(INDArray array, INDArray batch) {
        boolean fits = array != null && array.size(0) >= batch.size(0);
        for (int i = 1; fits && i < batch.rank(); i++) {
            fits = array.size(i) == batch.size(i);
        }
        return fits ? array : Nd4j.createUninitialized(DataType.FLOAT, batch.shape());
    }

    private static INDArray first(INDArray array, INDArray batch) {
        if (array.size(0) == batch.size(0)) {
            return array;
        }
        INDArrayIndex[] part = new INDArrayIndex[array.rank()];
        Arrays.fill(part, NDArrayIndex.all());
        part[0] = NDArrayIndex.interval(0, batch.size(0));
        return array.get(part);
    }
}
