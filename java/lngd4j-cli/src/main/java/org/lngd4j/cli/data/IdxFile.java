// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.lngd4j.cli.CliException;

/**
 * An IDX file of unsigned bytes, the format of MNIST: two zero bytes, the type (0x08), the number
 * of dimensions, each dimension as a big-endian 32-bit count, then the data in row-major order.
 * Plain or gzipped; the content tells which.
 *
 * <p>Every defect of a file (wrong magic number, a count of zero, too few bytes, too many bytes,
 * broken gzip) is a {@link CliException} that names the file and what is wrong with it. A file that
 * was read is complete.
 */
public final class IdxFile {
    private static final int UNSIGNED_BYTE = 0x08;
    private static final int MOST_DIMENSIONS = 4;
    private static final int MAGIC = 4;
    private static final int COUNT = 4;
    private static final int BUFFER = 1 << 16;

    private final Path path;
    private final int[] shape;
    private final byte[] data;

    private IdxFile(Path path, int[] shape, byte[] data) {
        this.path = path;
        this.shape = shape;
        this.data = data;
    }

    /**
     * Reads and checks a whole file.
     *
     * @param path a plain or gzipped IDX file
     * @param least the fewest dimensions it may have
     * @param most the most dimensions it may have
     */
    static IdxFile read(Path path, int least, int most) {
        try (InputStream raw = new BufferedInputStream(Files.newInputStream(path), BUFFER);
                InputStream in = isGzip(raw) ? new GZIPInputStream(raw, BUFFER) : raw) {
            int[] shape = readHeader(path, in, least, most);
            int length =
                    Math.toIntExact(Arrays.stream(shape).asLongStream().reduce(1, (a, b) -> a * b));
            checkSize(path, in == raw, shape.length, length);
            byte[] data = readData(path, in, length);
            if (data.length < length) {
                throw bad(
                        path,
                        "truncated: its header promises "
                                + length
                                + " bytes of data, it holds "
                                + data.length);
            }
            // Reading to the end also makes the gzip reader verify the checksum at the end of the
            // file.
            if (in.read() >= 0) {
                throw bad(
                        path,
                        "corrupt: more data than the " + length + " bytes its header promises");
            }
            return new IdxFile(path, shape, data);
        } catch (NoSuchFileException e) {
            throw bad(path, "no such file", e);
        } catch (EOFException e) {
            throw bad(path, "truncated: the compressed data end too early", e);
        } catch (ZipException e) {
            throw bad(path, "corrupt gzip data (" + e.getMessage() + ")", e);
        } catch (IOException e) {
            throw bad(path, "cannot be read (" + e + ")", e);
        }
    }

    /** Before anything is read: a plain file tells its length. */
    private static void checkSize(Path path, boolean plain, int dimensions, long length)
            throws IOException {
        long holds = Files.size(path) - MAGIC - (long) COUNT * dimensions;
        if (plain && Files.isRegularFile(path) && holds < length) {
            throw bad(
                    path,
                    "truncated: its header promises "
                            + length
                            + " bytes of data, it holds "
                            + holds);
        }
    }

    private static byte[] readData(Path path, InputStream in, int length) throws IOException {
        try {
            return in.readNBytes(length);
        } catch (OutOfMemoryError e) {
            throw bad(
                    path,
                    "its "
                            + length
                            + " bytes of data do not fit into Java's heap of "
                            + Runtime.getRuntime().maxMemory()
                            + "; with ./lngd more is had by LNGD_JAVA_OPTS=-Xmx8g",
                    e);
        }
    }

    /** The counts of the header; the first is the number of items. */
    int[] shape() {
        return shape.clone();
    }

    /** The data in row-major order, not copied. */
    byte[] data() {
        return data;
    }

    /** The file it was read from. */
    Path path() {
        return path;
    }

    private static boolean isGzip(InputStream in) throws IOException {
        in.mark(2);
        int first = in.read();
        int second = in.read();
        in.reset();
        return first == 0x1f && second == 0x8b;
    }

    private static int[] readHeader(Path path, InputStream in, int least, int most)
            throws IOException {
        byte[] magic = in.readNBytes(MAGIC);
        if (magic.length < MAGIC) {
            throw bad(path, "truncated: " + magic.length + " bytes are too few for an IDX header");
        }
        int dimensions = magic[3];
        if (magic[0] != 0 || magic[1] != 0 || dimensions < 1 || dimensions > MOST_DIMENSIONS) {
            throw bad(
                    path,
                    String.format(
                            "not an IDX file: magic number %02x%02x%02x%02x",
                            magic[0], magic[1], magic[2], magic[3]));
        }
        if (magic[2] != UNSIGNED_BYTE) {
            throw bad(
                    path,
                    String.format(
                            "its type is 0x%02x, only unsigned bytes (0x08) are read", magic[2]));
        }
        if (dimensions < least || dimensions > most) {
            String allowed = least == most ? "" + least : least + " to " + most;
            throw bad(path, "has " + dimensions + " dimensions where " + allowed + " are wanted");
        }
        int[] shape = new int[dimensions];
        long length = 1;
        for (int i = 0; i < dimensions; i++) {
            byte[] count = in.readNBytes(COUNT);
            if (count.length < COUNT) {
                throw bad(path, "truncated inside its header");
            }
            shape[i] =
                    (count[0] & 0xff) << 24
                            | (count[1] & 0xff) << 16
                            | (count[2] & 0xff) << 8
                            | count[3] & 0xff;
            if (shape[i] < 1) {
                throw bad(
                        path,
                        "corrupt: dimension " + i + " is " + Integer.toUnsignedString(shape[i]));
            }
            length *= shape[i];
            if (length > Integer.MAX_VALUE - 8) {
                throw bad(
                        path, "corrupt or too large: its header promises more than 2 GiB of data");
            }
        }
        return shape;
    }

    private static CliException bad(Path path, String what) {
        return CliException.badInput(path + ": " + what);
    }

    private static CliException bad(Path path, String what, Throwable cause) {
        return CliException.badInput(path + ": " + what, cause);
    }
}
