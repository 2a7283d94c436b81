// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.lngd4j.cli.CliException;

/**
 * Images of one size with a class label each, as bytes.
 *
 * @param pixels {@code count * features} unsigned bytes, one image after the other; not copied, not
 *     to be changed
 * @param labels {@code count} unsigned bytes: the class of each image; not copied, not to be
 *     changed
 * @param imageShape the size of one image, for messages: for example {@code 28x28}
 * @param features pixels of one image, at least 1
 */
public record LabelledImages(byte[] pixels, byte[] labels, String imageShape, int features) {
    /** Checks that there are as many labels as images. */
    public LabelledImages {
        if (features < 1 || (long) labels.length * features != pixels.length) {
            throw new IllegalArgumentException(
                    "pixels: "
                            + pixels.length
                            + " bytes are not "
                            + labels.length
                            + " images of "
                            + features
                            + " pixels");
        }
    }

    /** Reads an image file and its label file, plain or gzipped. */
    static LabelledImages read(Path imageFile, Path labelFile) {
        IdxFile images = IdxFile.read(imageFile, 2, 4);
        IdxFile labels = IdxFile.read(labelFile, 1, 1);
        int[] shape = images.shape();
        if (shape[0] != labels.shape()[0]) {
            throw CliException.badInput(
                    imageFile
                            + " has "
                            + shape[0]
                            + " images, but "
                            + labelFile
                            + " has "
                            + labels.shape()[0]
                            + " labels");
        }
        String size =
                Arrays.stream(shape)
                        .skip(1)
                        .mapToObj(Integer::toString)
                        .collect(Collectors.joining("x"));
        return new LabelledImages(
                images.data(), labels.data(), size, images.data().length / shape[0]);
    }

    /** The number of images. */
    public int count() {
        return labels.length;
    }

    /** The class of an image. */
    public int label(int image) {
        return labels[image] & 0xff;
    }

    /** One more than the largest label. */
    public int classes() {
        int largest = 0;
        for (byte label : labels) {
            largest = Math.max(largest, label & 0xff);
        }
        return largest + 1;
    }

    /** The first {@code n} images, or all of them where there are fewer. */
    public LabelledImages first(int n) {
        int kept = Math.min(n, count());
        return new LabelledImages(
                Arrays.copyOf(pixels, kept * features),
                Arrays.copyOf(labels, kept),
                imageShape,
                features);
    }

    // A record would compare and print its arrays by identity: no use to anybody.
    @Override
    public boolean equals(Object other) {
        return other instanceof LabelledImages that
                && features == that.features
                && imageShape.equals(that.imageShape)
                && Arrays.equals(labels, that.labels)
                && Arrays.equals(pixels, that.pixels);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(labels);
    }

    @Override
    public String toString() {
        return count() + " images of " + imageShape;
    }
}
