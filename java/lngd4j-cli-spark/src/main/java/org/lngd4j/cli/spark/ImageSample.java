// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.spark;

import java.io.Serializable;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.lngd4j.cli.data.ImageShape;
import org.lngd4j.cli.data.LabelledImages;

/**
 * An image as executors hold it: bytes, a quarter of what floats would take.
 *
 * @param pixels unsigned bytes
 * @param label its class
 */
record ImageSample(byte[] pixels, byte label) implements Serializable {
    /** All of a set. */
    static List<ImageSample> of(LabelledImages images) {
        int size = images.features();
        return IntStream.range(0, images.count())
                .mapToObj(
                        i ->
                                new ImageSample(
                                        Arrays.copyOfRange(
                                                images.pixels(), i * size, (i + 1) * size),
                                        images.labels()[i]))
                .toList();
    }

    /** Back. */
    static LabelledImages set(List<ImageSample> samples, ImageShape shape) {
        int size = shape.features();
        byte[] pixels = new byte[samples.size() * size];
        byte[] labels = new byte[samples.size()];
        for (int i = 0; i < labels.length; i++) {
            System.arraycopy(samples.get(i).pixels(), 0, pixels, i * size, size);
            labels[i] = samples.get(i).label();
        }
        return new LabelledImages(pixels, labels, shape);
    }
}
