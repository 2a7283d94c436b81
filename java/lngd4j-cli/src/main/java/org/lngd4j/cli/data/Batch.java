// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.nio.FloatBuffer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * One mini-batch in buffers that are filled again and again. Valid until the pipeline is asked for
 * the next one.
 */
public final class Batch {
    private final INDArray allFeatures;
    private final INDArray allTargets;
    private final FloatBuffer featureBuffer;
    private final FloatBuffer targetBuffer;
    private final int capacity;
    private int size;

    /**
     * @param classes width of the one-hot targets, or {@link Dataset#NO_CLASSES}: the images
     *     themselves are the targets
     */
    Batch(int capacity, int features, int classes) {
        this.capacity = capacity;
        this.allFeatures =
                Nd4j.createUninitialized(DataType.FLOAT, new long[] {capacity, features}, 'c');
        this.featureBuffer = allFeatures.data().asNioFloat();
        boolean reconstruct = classes == Dataset.NO_CLASSES;
        this.allTargets =
                reconstruct
                        ? allFeatures
                        : Nd4j.createUninitialized(
                                DataType.FLOAT, new long[] {capacity, classes}, 'c');
        this.targetBuffer = reconstruct ? null : allTargets.data().asNioFloat();
    }

    /** Begins a batch of {@code size} samples, with targets of 0. */
    void begin(int newSize) {
        size = newSize;
        if (targetBuffer != null) {
            targetBuffer.clear();
            targetBuffer.put(new float[targetBuffer.capacity()]);
        }
    }

    void put(int sample, float[] row, int label) {
        featureBuffer.put(sample * row.length, row);
        if (targetBuffer != null) {
            targetBuffer.put(sample * (int) allTargets.size(1) + label, 1f);
        }
    }

    /** The number of samples. */
    public int size() {
        return size;
    }

    /** The images, [size, features] in 'c' order. */
    public INDArray features() {
        return firstRows(allFeatures);
    }

    /**
     * The one-hot labels, [size, classes] in 'c' order; or the images where they are the targets.
     */
    public INDArray targets() {
        return firstRows(allTargets);
    }

    private INDArray firstRows(INDArray all) {
        return size == capacity ? all : all.get(NDArrayIndex.interval(0, size), NDArrayIndex.all());
    }
}
