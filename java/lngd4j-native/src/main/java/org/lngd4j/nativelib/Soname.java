// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Renames a shared library inside its file: the entry DT_SONAME of a 64-bit little-endian ELF.
 *
 * <p>A copy of a library under another file name is not yet a library of its own. The dynamic
 * linker matches the needs of later libraries by SONAME, so libnd4jcpu.so, which needs
 * libopenblas.so.0, would be bound to our copy if that came first; ND4J then sets the number of its
 * threads, and a step that relies on one BLAS thread became 30 times slower on two.
 */
final class Soname {
    private static final int PT_LOAD = 1;
    private static final int PT_DYNAMIC = 2;
    private static final long DT_NULL = 0;
    private static final long DT_STRTAB = 5;
    private static final long DT_SONAME = 14;

    private final ByteBuffer elf;

    private Soname(ByteBuffer elf) {
        this.elf = elf;
    }

    /**
     * Writes {@code name} over the SONAME of {@code library}; it must not be longer than the old
     * one.
     */
    static void replace(Path library, String name) throws IOException {
        try (FileChannel channel =
                FileChannel.open(library, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            ByteBuffer elf = channel.map(FileChannel.MapMode.READ_WRITE, 0, channel.size());
            new Soname(elf.order(ByteOrder.LITTLE_ENDIAN)).write(library, name);
        } catch (IndexOutOfBoundsException e) {
            throw new IOException(library + " is not a complete ELF file", e);
        }
    }

    private void write(Path library, String name) throws IOException {
        // Magic, 64 bits, little endian.
        if (elf.getInt(0) != 0x464c457f || elf.get(4) != 2 || elf.get(5) != 1) {
            throw new IOException(library + " is not a 64-bit little-endian ELF file");
        }
        int at = nameOffset();
        if (at < 0) {
            throw new IOException(library + " has no SONAME");
        }
        byte[] fresh = name.getBytes(StandardCharsets.US_ASCII);
        int length = 0;
        while (elf.get(at + length) != 0) {
            length++;
        }
        if (fresh.length > length) {
            throw new IOException("the SONAME " + name + " is longer than the one in " + library);
        }
        for (int i = 0; i < length; i++) {
            elf.put(at + i, i < fresh.length ? fresh[i] : 0);
        }
    }

    /** Where in the file the string lies, or -1. */
    private int nameOffset() {
        long strings = -1;
        long name = -1;
        int dynamic = (int) segment(PT_DYNAMIC, 0, false);
        for (int entry = dynamic; dynamic >= 0 && elf.getLong(entry) != DT_NULL; entry += 16) {
            long tag = elf.getLong(entry);
            if (tag == DT_STRTAB) {
                strings = segment(PT_LOAD, elf.getLong(entry + 8), true);
            } else if (tag == DT_SONAME) {
                name = elf.getLong(entry + 8);
            }
        }
        return strings < 0 || name < 0 ? -1 : (int) (strings + name);
    }

    /**
     * The file offset of the first segment of a type, or, with {@code contains}, the offset that an
     * address has in the segment around it; -1 if there is none.
     */
    private long segment(int type, long address, boolean contains) {
        long table = elf.getLong(0x20);
        int size = Short.toUnsignedInt(elf.getShort(0x36));
        int count = Short.toUnsignedInt(elf.getShort(0x38));
        for (int i = 0; i < count; i++) {
            int header = (int) table + i * size;
            long offset = elf.getLong(header + 8);
            long start = elf.getLong(header + 16);
            long length = elf.getLong(header + 32);
            if (elf.getInt(header) != type) {
                continue;
            }
            if (!contains) {
                return offset;
            }
            if (address >= start && address < start + length) {
                return offset + (address - start);
            }
        }
        return -1;
    }
}
