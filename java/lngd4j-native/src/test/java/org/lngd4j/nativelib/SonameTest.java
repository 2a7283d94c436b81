// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The name by which the dynamic linker knows a library is changed in its file, and nothing else.
 */
class SonameTest {
    private static final String OLD = "libquadmath.so.0";
    private static final String NEW = "liblngdmath.so.0";

    @TempDir Path folder;
    private Path library;
    private byte[] before;

    @BeforeEach
    void copyALibrary() throws IOException {
        library = folder.resolve("library");
        try (InputStream in =
                SonameTest.class.getResourceAsStream(
                        "/org/bytedeco/openblas/linux-x86_64/" + OLD)) {
            Files.copy(in, library);
        }
        before = Files.readAllBytes(library);
    }

    @Test
    void onlyTheNameChanges() throws IOException {
        Soname.replace(library, NEW);
        byte[] after = Files.readAllBytes(library);
        assertThat(after).hasSameSizeAs(before);
        int first = -1;
        int last = -1;
        for (int i = 0; i < after.length; i++) {
            if (after[i] != before[i]) {
                first = first < 0 ? i : first;
                last = i;
            }
        }
        // "quad" and "lngd" differ in three places: q-l, u-n, a-g.
        assertThat(first).isPositive();
        assertThat(last - first).isEqualTo(2);
        int start = first - "lib".length();
        assertThat(new String(after, start, NEW.length(), StandardCharsets.US_ASCII))
                .isEqualTo(NEW);
        assertThat(after[start + NEW.length()]).isZero();
    }

    @Test
    void aShorterNameIsPadded() throws IOException {
        Soname.replace(library, "libq.so");
        String text = Files.readString(library, StandardCharsets.ISO_8859_1);
        assertThat(text).contains("libq.so\0\0\0\0\0\0\0\0\0\0");
    }

    @Test
    void aLongerNameIsRefusedAndNothingWritten() throws IOException {
        assertThatThrownBy(() -> Soname.replace(library, NEW + "1"))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("longer");
        assertThat(library).hasBinaryContent(before);
    }

    @Test
    void whatIsNoLibraryIsRefused() throws IOException {
        Files.writeString(library, "not a library");
        assertThatThrownBy(() -> Soname.replace(library, NEW)).isInstanceOf(IOException.class);
        Files.write(library, java.util.Arrays.copyOf(before, 100));
        assertThatThrownBy(() -> Soname.replace(library, NEW))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("ELF");
    }
}
