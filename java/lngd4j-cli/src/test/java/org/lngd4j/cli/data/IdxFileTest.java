// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.cli.CliException;

class IdxFileTest {
    private static final byte[] DATA = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -1};
    private static final byte[] GOOD = IdxWriter.idx(DATA, 3, 2, 2);

    @TempDir Path folder;

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void readsPlainAndGzipped(boolean zipped) throws IOException {
        IdxFile file = read(zipped ? IdxWriter.gzip(GOOD) : GOOD);

        assertThat(file.shape()).containsExactly(3, 2, 2);
        assertThat(file.data()).containsExactly(DATA);
    }

    static Stream<Arguments> damaged() throws IOException {
        byte[] zipped = IdxWriter.gzip(GOOD);
        byte[] badChecksum = zipped.clone();
        badChecksum[zipped.length - 8] ^= 1;
        byte[] badDeflate = zipped.clone();
        badDeflate[10] = (byte) 0xff;
        return Stream.of(
                Arguments.of("nothing", new byte[0], "truncated"),
                Arguments.of("a piece of the magic number", Arrays.copyOf(GOOD, 3), "truncated"),
                Arguments.of(
                        "a piece of the header",
                        Arrays.copyOf(GOOD, 9),
                        "truncated inside its header"),
                Arguments.of(
                        "no data",
                        Arrays.copyOf(GOOD, 16),
                        "truncated: its header promises 12 bytes"),
                Arguments.of("a byte too few", Arrays.copyOf(GOOD, GOOD.length - 1), "it holds 11"),
                Arguments.of(
                        "a byte too many",
                        Arrays.copyOf(GOOD, GOOD.length + 1),
                        "more data than the 12 bytes"),
                Arguments.of("text", "PK this is no IDX file".getBytes(), "magic number 504b2074"),
                Arguments.of("floats", with(GOOD, 2, 0x0d), "type is 0x0d"),
                Arguments.of("no dimension", with(GOOD, 3, 0), "not an IDX file"),
                Arguments.of("five dimensions", with(GOOD, 3, 5), "not an IDX file"),
                Arguments.of(
                        "one dimension for three",
                        IdxWriter.idx(DATA, 12),
                        "has 1 dimensions where 3 are wanted"),
                Arguments.of("zero items", IdxWriter.idx(new byte[0], 0, 2, 2), "dimension 0 is 0"),
                Arguments.of("negative count", with(GOOD, 4, 0xff), "dimension 0 is 42781"),
                Arguments.of(
                        "absurd size",
                        IdxWriter.idx(DATA, 1 << 30, 1 << 30, 1 << 30),
                        "more than 2 GiB"),
                Arguments.of(
                        "half a gzip file", Arrays.copyOf(zipped, zipped.length / 2), "truncated"),
                Arguments.of("a gzip header only", Arrays.copyOf(zipped, 6), "truncated"),
                Arguments.of("gzip with a wrong checksum", badChecksum, "corrupt gzip"),
                Arguments.of("gzip with damaged data", badDeflate, "corrupt gzip"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("damaged")
    void refusesDamagedFilesAndSaysWhy(String what, byte[] content, String reason) {
        assertThatThrownBy(() -> read(content))
                .isInstanceOf(CliException.class)
                .hasMessageStartingWith(folder.resolve("file").toString())
                .hasMessageContaining(reason)
                .satisfies(e -> assertThat(((CliException) e).exitStatus()).isEqualTo(2));
    }

    @Test
    void everyPrefixOfAFileIsRefused() {
        for (int length = 0; length < GOOD.length; length++) {
            byte[] prefix = Arrays.copyOf(GOOD, length);
            assertThatThrownBy(() -> read(prefix))
                    .as("%d bytes", length)
                    .isInstanceOf(CliException.class);
        }
    }

    @Test
    void refusesAnAbsentFileAndAFolder() {
        assertThatThrownBy(() -> IdxFile.read(folder.resolve("none"), 1, 1))
                .hasMessageContaining("no such file");
        assertThatThrownBy(() -> IdxFile.read(folder, 1, 1)).hasMessageContaining("cannot be read");
    }

    /**
     * More than Java's arrays hold, in truth and only in the header; sparse, so that it costs
     * nothing.
     */
    @Test
    void refusesFilesOfMoreThanTwoGibibytesAtOnce() throws IOException {
        Path file = folder.resolve("large");
        Files.write(file, IdxWriter.idx(new byte[0], 3 << 20, 32, 32));
        try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
            sparse.setLength(16 + 3L * (1 << 30));
        }
        refusedAtOnce(file, "its header promises more than 2 GiB of data");

        Files.write(file, IdxWriter.idx(new byte[0], (1 << 21) - 1, 32, 32));
        refusedAtOnce(file, "truncated: its header promises 2147482624 bytes of data, it holds 0");
    }

    private static void refusedAtOnce(Path file, String reason) {
        long begin = System.nanoTime();
        assertThatThrownBy(() -> IdxFile.read(file, 3, 3))
                .isInstanceOf(CliException.class)
                .hasMessageStartingWith(file + ": ")
                .hasMessageContaining(reason);
        assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(2));
    }

    private IdxFile read(byte[] content) throws IOException {
        return IdxFile.read(Files.write(folder.resolve("file"), content), 3, 3);
    }

    private static byte[] with(byte[] bytes, int index, int value) {
        byte[] copy = bytes.clone();
        copy[index] = (byte) value;
        return copy;
    }
}
