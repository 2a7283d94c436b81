// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.zip.GZIPOutputStream;

/** Writes IDX files and small data sets for tests. */
public final class IdxWriter {
    private IdxWriter() {}

    /** The bytes of an IDX file of unsigned bytes. */
    public static byte[] idx(byte[] data, int... shape) {
        ByteBuffer buffer = ByteBuffer.allocate(4 + 4 * shape.length + data.length);
        buffer.put(new byte[] {0, 0, 8, (byte) shape.length});
        for (int size : shape) {
            buffer.putInt(size);
        }
        return buffer.put(data).array();
    }

    /** The same bytes, gzipped. */
    public static byte[] gzip(byte[] data) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream zip = new GZIPOutputStream(out)) {
            zip.write(data);
        }
        return out.toByteArray();
    }

    /**
     * A data set that a small network can learn: class k lights pixel block k, under noise.
     *
     * @param side images are side x side
     */
    public static void dataset(Path folder, int training, int test, int side, int classes)
            throws IOException {
        Files.createDirectories(folder);
        SplittableRandom random = new SplittableRandom(7);
        part(folder, "train", training, side, classes, random);
        part(folder, "t10k", test, side, classes, random);
    }

    private static void part(
            Path folder, String name, int count, int side, int classes, SplittableRandom random)
            throws IOException {
        byte[] pixels = new byte[count * side * side];
        byte[] labels = new byte[count];
        for (int i = 0; i < count; i++) {
            labels[i] = (byte) (i % classes);
            for (int k = 0; k < side * side; k++) {
                boolean lit = k * classes / (side * side) == labels[i];
                pixels[i * side * side + k] = (byte) (random.nextInt(140) + (lit ? 110 : 0));
            }
        }
        Files.write(folder.resolve(name + "-images-idx3-ubyte"), idx(pixels, count, side, side));
        Files.write(folder.resolve(name + "-labels-idx1-ubyte.gz"), gzip(idx(labels, count)));
    }
}
