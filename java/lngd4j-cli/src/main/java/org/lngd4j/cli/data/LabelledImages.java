// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.nio.file.Path;
import java.util.Arrays;
import org.lngd4j.cli.CliException;

/**
 * Images of one size with a class label each, as bytes.
 *
 * @param pixels {@code count * shape.features()} unsigned bytes, one image after the other; not
 *     copied, not to be changed
 * @param labels {@code count} unsigned bytes: the class of each image, 0 where there are no
 *     classes; not copied, not to be changed
 * @param shape the size of one image
 */
public record LabelledImages(byte[] pixels, byte[] labels, ImageShape shape) {
    /** Checks that there are as many labels as images. */
    public LabelledImages {
        if (shape.features() < 1 || (long) labels.length * shape.features() != pixels.length) {
            throw new IllegalArgumentException(
                    "pixels: "
                            + pixels.length
                            + " bytes are not "
                            + labels.length
                            + " images of "
                            + shape.features()
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
        return new LabelledImages(images.data(), labels.data(), imageShape(shape));
    }

    // The trailing dimensions of an IDX file: width; height, width; or channels, height, width.
    private static ImageShape imageShape(int[] shape) {
        int last = shape.length - 1;
        int height = shape.length > 2 ? shape[last - 1] : 1;
        int channels = shape.length > 3 ? shape[last - 2] : 1;
        return new ImageShape(channels, height, shape[last]);
    }

    /** Numbers of one image. */
    public int features() {
        return shape.features();
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

    /** The images from {@code from} up to but without {@code to}, in a copy. */
    public LabelledImages slice(int from, int to) {
        return new LabelledImages(
                Arrays.copyOfRange(pixels, from * features(), to * features()),
                Arrays.copyOfRange(labels, from, to),
                shape);
    }

    // A record would compare and print its arrays by identity: no use to anybody.
    @Override
    public boolean equals(Object other) {
        return other instanceof LabelledImages that
                && shape.equals(that.shape)
                && Arrays.equals(labels, that.labels)
                && Arrays.equals(pixels, that.pixels);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(labels);
    }

    @Override
    public String toString() {
        return count() + " images of " + shape;
    }
}
