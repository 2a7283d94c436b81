// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.lngd4j.LayerSamples;
import org.lngd4j.LayerSpec;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * Inputs and deltas of one layer, copied out of DL4J's workspaces, whose memory is used again
 * before the step comes. Grows to the largest batch and is used again from then on.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class SampleBuffer {
    private final LayerSpec spec;
    private INDArray inputs;
    private INDArray deltas;
    private LayerSamples current;

    SampleBuffer(LayerSpec spec) {
        this.spec = spec;
    }

    LayerSamples put(INDArray a, INDArray delta, INDArray mask) {
        long rows = delta.size(0);
        if (current == null || current.deltas().size(0) != rows) {
            resize(rows);
        }
        current.inputs().assign(a);
        current.deltas().assign(delta);
        if (mask != null) {
            current.deltas().muliColumnVector(mask.castTo(DataType.FLOAT));
        }
        return current;
    }

    private void resize(long rows) {
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            if (deltas == null || deltas.size(0) < rows) {
                inputs = Nd4j.createUninitialized(DataType.FLOAT, rows, spec.inputs());
                deltas = Nd4j.createUninitialized(DataType.FLOAT, rows, spec.outputs());
            }
            current = new LayerSamples(first(inputs, rows), first(deltas, rows));
        }
    }

    private static INDArray first(INDArray a, long rows) {
        return a.size(0) == rows ? a : a.get(NDArrayIndex.interval(0, rows), NDArrayIndex.all());
    }
}
