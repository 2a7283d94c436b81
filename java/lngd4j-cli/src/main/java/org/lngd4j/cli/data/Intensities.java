// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.io.Serializable;
import java.nio.FloatBuffer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * What the network sees for a byte: x / 255 for grey images, and for colour {@code (x - mean) /
 * deviation} of the channel over the training set, as residual networks are usually fed. (Grey
 * images stay in [0, 1], where an autoencoder's targets must be.)
 *
 * <p>Images stay bytes until they are needed: a quarter of the memory, and a table look-up per
 * pixel costs less than the step by far. The sums are of integers, so the table is the same
 * everywhere.
 */
public final class Intensities implements Serializable {
    private static final long serialVersionUID = 1L;
    private static final int LEVELS = 256;

    private final float[][] tables;

    private Intensities(float[][] tables) {
        this.tables = tables;
    }

    /** The table that belongs to a training set; its test set uses the same. */
    public static Intensities of(LabelledImages training) {
        ImageShape shape = training.shape();
        float[][] tables = new float[shape.channels()][LEVELS];
        for (int channel = 0; channel < tables.length; channel++) {
            double mean = 0;
            double deviation = LEVELS - 1;
            if (shape.channels() > 1) {
                long[] counts = counts(training, channel);
                mean = mean(counts);
                deviation = Math.max(1, Math.sqrt(variance(counts, mean)));
            }
            for (int x = 0; x < LEVELS; x++) {
                tables[channel][x] = (float) ((x - mean) / deviation);
            }
        }
        return new Intensities(tables);
    }

    /** The numbers for each byte of a channel; not to be changed. */
    float[] table(int channel) {
        return tables[channel];
    }

    /**
     * Some images in their own order, in a new array.
     *
     * @return [count, features] in 'c' order
     */
    public INDArray toFeatures(LabelledImages images, int from, int count) {
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

    /** Writes one image into {@code row}. */
    void expand(LabelledImages images, int image, float[] row) {
        byte[] pixels = images.pixels();
        int plane = images.shape().plane();
        int k = 0;
        int start = image * row.length;
        for (float[] table : tables) {
            for (int end = k + plane; k < end; k++) {
                row[k] = table[pixels[start + k] & 0xff];
            }
        }
    }

    private static long[] counts(LabelledImages images, int channel) {
        long[] counts = new long[LEVELS];
        int plane = images.shape().plane();
        for (int image = 0; image < images.count(); image++) {
            int start = image * images.features() + channel * plane;
            for (int k = start; k < start + plane; k++) {
                counts[images.pixels()[k] & 0xff]++;
            }
        }
        return counts;
    }

    private static double mean(long[] counts) {
        long sum = 0;
        long number = 0;
        for (int x = 0; x < LEVELS; x++) {
            sum += x * counts[x];
            number += counts[x];
        }
        return (double) sum / number;
    }

    private static double variance(long[] counts, double mean) {
        double sum = 0;
        long number = 0;
        for (int x = 0; x < LEVELS; x++) {
            sum += counts[x] * (x - mean) * (x - mean);
            number += counts[x];
        }
        return sum / number;
    }
}
