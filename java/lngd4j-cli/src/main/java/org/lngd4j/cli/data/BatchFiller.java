// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.util.SplittableRandom;

/**
 * Shuffled mini-batches of a training set. What is in a batch depends on the seed, the epoch and
 * the batch's number alone, whoever fills it and when: a resumed run goes on with the very batches
 * it would have had. The last batch of an epoch may be smaller. Not thread-safe.
 */
public final class BatchFiller {
    private final LabelledImages images;
    private final ImageInput input;
    private final int classes;
    private final int batchSize;
    private final SampleOrder order;
    private final float[] row;

    /**
     * @param images the training set
     * @param input what the network sees of an image
     * @param classes width of the one-hot targets, or {@link Dataset#NO_CLASSES} where the images
     *     are the targets
     * @param batchSize 1 to the number of images
     * @param seed decides the order of every epoch, and the augmentation
     */
    public BatchFiller(
            LabelledImages images, ImageInput input, int classes, int batchSize, long seed) {
        if (batchSize < 1 || batchSize > images.count()) {
            throw new IllegalArgumentException(
                    "batchSize: "
                            + batchSize
                            + " is not in 1 to "
                            + images.count()
                            + ", the number of images");
        }
        this.images = images;
        this.input = input;
        this.classes = classes;
        this.batchSize = batchSize;
        this.order = new SampleOrder(images.count(), seed);
        this.row = new float[images.features()];
    }

    /** The number of batches of an epoch. */
    public int count() {
        return count(images.count(), batchSize);
    }

    /** The number of batches that {@code images} make: the last may be smaller. */
    public static int count(int images, int batchSize) {
        return (images + batchSize - 1) / batchSize;
    }

    Batch newBatch() {
        return new Batch(batchSize, images.features(), classes);
    }

    /**
     * Fills a batch.
     *
     * @param epoch counted from 0
     * @param number 0 to {@code count() - 1}
     */
    void fill(Batch batch, int epoch, int number) {
        int[] shuffled = order.of(epoch);
        int start = number * batchSize;
        int size = Math.min(batchSize, shuffled.length - start);
        batch.begin(size);
        SplittableRandom random =
                new SplittableRandom(order.epochSeed(epoch) ^ (number + 1) * 0xd1342543de82ef95L);
        for (int i = 0; i < size; i++) {
            int image = shuffled[start + i];
            input.expand(images, image, random, row);
            batch.put(i, row, images.label(image));
        }
    }
}
