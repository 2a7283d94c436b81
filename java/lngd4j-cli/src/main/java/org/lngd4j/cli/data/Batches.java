// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.nio.FloatBuffer;
import java.util.SplittableRandom;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * Shuffled mini-batches of a training set in one pair of reused buffers: pixels as float in [0, 1],
 * labels one-hot.
 *
 * <p>The order of an epoch depends on the seed and the epoch's number alone, so that a resumed run
 * goes on with the very order it would have had. The last batch of an epoch may be smaller. Images
 * stay bytes until they are needed: a quarter of the memory, and a table look-up per pixel costs
 * less than the step by far. Not thread-safe.
 */
public final class Batches {
    private static final float[] INTENSITY = new float[256];

    static {
        for (int i = 0; i < INTENSITY.length; i++) {
            INTENSITY[i] = i / 255f;
        }
    }

    private final LabelledImages images;
    private final int classes;
    private final int batchSize;
    private final long seed;
    private final int[] order;
    private final float[] row;
    private final INDArray allFeatures;
    private final INDArray allLabels;
    private final INDArray lastFeatures;
    private final INDArray lastLabels;
    private final FloatBuffer featureBuffer;
    private final FloatBuffer labelBuffer;
    private INDArray features;
    private INDArray labels;

    /**
     * @param images the training set
     * @param classes the width of the one-hot labels
     * @param batchSize 1 to the number of images
     * @param seed decides the order of every epoch
     */
    public Batches(LabelledImages images, int classes, int batchSize, long seed) {
        if (batchSize < 1 || batchSize > images.count()) {
            throw new IllegalArgumentException(
                    "batchSize: "
                            + batchSize
                            + " is not in 1 to "
                            + images.count()
                            + ", the number of images");
        }
        this.images = images;
        this.classes = classes;
        this.batchSize = batchSize;
        this.seed = seed;
        this.order = new int[images.count()];
        this.row = new float[images.features()];
        this.allFeatures =
                Nd4j.createUninitialized(
                        DataType.FLOAT, new long[] {batchSize, images.features()}, 'c');
        this.allLabels =
                Nd4j.createUninitialized(DataType.FLOAT, new long[] {batchSize, classes}, 'c');
        this.featureBuffer = allFeatures.data().asNioFloat();
        this.labelBuffer = allLabels.data().asNioFloat();
        int rest = images.count() % batchSize;
        this.lastFeatures =
                rest == 0
                        ? allFeatures
                        : allFeatures.get(NDArrayIndex.interval(0, rest), NDArrayIndex.all());
        this.lastLabels =
                rest == 0
                        ? allLabels
                        : allLabels.get(NDArrayIndex.interval(0, rest), NDArrayIndex.all());
        startEpoch(0);
    }

    /** The number of batches of an epoch. */
    public int count() {
        return count(images.count(), batchSize);
    }

    /** The number of batches that {@code images} make: the last may be smaller. */
    public static int count(int images, int batchSize) {
        return (images + batchSize - 1) / batchSize;
    }

    /** Takes up the order of an epoch, counted from 0. */
    public void startEpoch(int epoch) {
        // Each epoch is shuffled from the identity with a generator of its own: no state to save.
        SplittableRandom random = new SplittableRandom(seed * 0x9e3779b97f4a7c15L + epoch);
        for (int i = 0; i < order.length; i++) {
            int j = random.nextInt(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
    }

    /**
     * Fills the buffers with a batch of the epoch; {@link #features()} and {@link #labels()} then
     * show it.
     *
     * @param batch 0 to {@code count() - 1}
     * @return the number of images in it
     */
    public int load(int batch) {
        int start = batch * batchSize;
        int size = Math.min(batchSize, order.length - start);
        for (int i = 0; i < size; i++) {
            int image = order[start + i];
            expand(images, image, row);
            featureBuffer.put(i * row.length, row);
            for (int k = 0; k < classes; k++) {
                labelBuffer.put(i * classes + k, 0f);
            }
            labelBuffer.put(i * classes + images.label(image), 1f);
        }
        features = size == batchSize ? allFeatures : lastFeatures;
        labels = size == batchSize ? allLabels : lastLabels;
        return size;
    }

    /** The batch's images, [size, features] in 'c' order: overwritten by the next {@link #load}. */
    public INDArray features() {
        return features;
    }

    /**
     * The batch's one-hot labels, [size, classes] in 'c' order: overwritten by the next {@link
     * #load}.
     */
    public INDArray labels() {
        return labels;
    }

    /**
     * Some images in their own order, in a new array.
     *
     * @return [count, features] in 'c' order, float in [0, 1]
     */
    public static INDArray toFeatures(LabelledImages images, int from, int count) {
        INDArray result =
                Nd4j.createUninitialized(
                        DataType.FLOAT, new long[] {count, images.features()}, 'c');
        FloatBuffer buffer = result.data().asNioFloat();
        float[] row = new float[images.features()];
        for (int i = 0; i < count; i++) {
            expand(images, from + i, row);
            buffer.put(i * row.length, row);
        }
        return result;
    }

    private static void expand(LabelledImages images, int image, float[] row) {
        byte[] pixels = images.pixels();
        int start = image * row.length;
        for (int k = 0; k < row.length; k++) {
            row[k] = INTENSITY[pixels[start + k] & 0xff];
        }
    }
}
