// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.SequenceInputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** Bytes in memory, more than an array can have. */
final class ByteChunks extends OutputStream {
    private static final int CHUNK = 1 << 24;

    private final List<byte[]> full = new ArrayList<>();
    private byte[] chunk = new byte[CHUNK];
    private int at;

    @Override
    public void write(int b) {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) {
        int from = offset;
        int left = length;
        while (left > 0) {
            if (at == CHUNK) {
                full.add(chunk);
                chunk = new byte[CHUNK];
                at = 0;
            }
            int count = Math.min(left, CHUNK - at);
            System.arraycopy(bytes, from, chunk, at, count);
            at += count;
            from += count;
            left -= count;
        }
    }

    List<byte[]> chunks() {
        List<byte[]> all = new ArrayList<>(full);
        all.add(Arrays.copyOf(chunk, at));
        return all;
    }

    static InputStream stream(List<byte[]> chunks) {
        return new SequenceInputStream(
                Collections.enumeration(
                        chunks.stream()
                                .map(c -> (InputStream) new ByteArrayInputStream(c))
                                .toList()));
    }
}
