// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.IOException;
import java.io.InputStream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.gloo.Ranks;

/**
 * A stream that rank 0 has and all ranks read, in step: each buffer is a broadcast. So one rank
 * alone reads the file system, and all read the same bytes.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class RankInputStream extends InputStream {
    private static final int CHUNK = 1 << 22;
    private static final int END = -1;
    private static final int FAILED = -2;

    private final Ranks ranks;
    private final InputStream source; // null: not rank 0
    private final byte[] buffer = new byte[CHUNK];
    private int at;
    private int end;

    /**
     * Wraps a stream.
     *
     * @param source what is read on rank 0, closed with this; null on the others
     */
    RankInputStream(Ranks ranks, InputStream source) {
        this.ranks = ranks;
        this.source = source;
    }

    @Override
    public int read() throws IOException {
        return fill() ? Byte.toUnsignedInt(buffer[at++]) : -1;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
        if (length == 0) {
            return 0;
        }
        if (!fill()) {
            return -1;
        }
        int count = Math.min(length, end - at);
        System.arraycopy(buffer, at, into, offset, count);
        at += count;
        return count;
    }

    /** Whether there is a byte. */
    private boolean fill() throws IOException {
        if (at < end || end == END) {
            return end != END;
        }
        IOException failed = null;
        try (PointerScope scope = new PointerScope()) {
            int length = 0;
            if (source != null) {
                try {
                    length = source.readNBytes(buffer, 0, CHUNK);
                    length = length == 0 ? END : length;
                } catch (IOException e) {
                    failed = e;
                    length = FAILED;
                }
            }
            Tensor count = Tensor.create(new long[] {length});
            ranks.broadcast(count, 0);
            length = (int) count.item_long();
            if (length > 0) {
                Tensor bytes =
                        torch.empty(
                                new long[] {length},
                                new TensorOptions(torch.ScalarType.Byte),
                                new MemoryFormatOptional());
                BytePointer data = new BytePointer(bytes.data_ptr());
                if (source != null) {
                    data.put(buffer, 0, length);
                }
                ranks.broadcast(bytes, 0);
                data.get(buffer, 0, length);
            }
            at = 0;
            end = length;
        }
        if (end == FAILED) {
            end = END;
            throw failed != null ? failed : new IOException("rank 0 could not read the stream");
        }
        return end != END;
    }

    @Override
    public void close() throws IOException {
        if (source != null) {
            source.close();
        }
    }
}
