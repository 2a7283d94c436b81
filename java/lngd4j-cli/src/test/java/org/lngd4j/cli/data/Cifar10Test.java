// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.cli.CliException;

class Cifar10Test {
    private static final int PER_FILE = 3;
    private static final int RECORD = 3073;

    @TempDir Path folder;

    @Test
    void readsTheSixFilesInTheirOrder() throws IOException {
        write(folder);

        Dataset data = Cifar10.read(folder, PER_FILE);

        assertThat(data.classes()).isEqualTo(10);
        assertThat(data.training().shape()).isEqualTo(new ImageShape(3, 32, 32));
        assertThat(data.training().count()).isEqualTo(15);
        assertThat(data.test().count()).isEqualTo(3);
        for (int image = 0; image < 15; image++) {
            assertThat(data.training().label(image)).isEqualTo(image % 10);
            assertThat(data.training().pixels()[image * 3072]).isEqualTo((byte) (image + 100));
            assertThat(data.training().pixels()[image * 3072 + 3071]).isEqualTo((byte) image);
        }
        assertThat(data.test().pixels()[0]).isEqualTo((byte) 115);
    }

    @Test
    void everyDefectIsToldWithItsFile() throws IOException {
        write(folder);
        Path file = folder.resolve("data_batch_4.bin");
        byte[] good = Files.readAllBytes(file);

        Files.write(file, Arrays.copyOf(good, good.length - 1));
        refused("data_batch_4.bin: truncated: 9218 bytes instead of 9219");
        Files.write(file, Arrays.copyOf(good, good.length + 1));
        refused("data_batch_4.bin: not CIFAR-10: 9220 bytes instead of 9219");
        byte[] bad = good.clone();
        bad[RECORD] = 10;
        Files.write(file, bad);
        refused("data_batch_4.bin: corrupt: the label of image 1 is 10, not 0 to 9");
        Files.delete(file);
        refused("data_batch_4.bin: no such file");
    }

    @Test
    void aFolderIsRecognisedByItsFiles() throws IOException {
        write(folder);

        // The official size is 10,000 images a file, so these are too short.
        assertThatThrownBy(() -> DataCatalog.read(folder.toString(), line -> {}))
                .isInstanceOf(CliException.class)
                .hasMessageContaining(
                        "data_batch_1.bin: truncated: 9219 bytes instead of 30730000");
    }

    @Test
    void theArchiveIsFetchedOnceAndUnpacked() throws Exception {
        byte[] archive = IdxWriter.gzip(tar());
        String sha = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(archive));
        List<String> asked = new ArrayList<>();
        List<String> notices = new ArrayList<>();
        HttpServer server =
                HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext(
                "/",
                exchange -> {
                    asked.add(exchange.getRequestURI().getPath());
                    exchange.sendResponseHeaders(200, archive.length);
                    exchange.getResponseBody().write(archive);
                    exchange.close();
                });
        server.start();
        try {
            URI address = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/a.gz");
            Map<String, String> environment = Map.of("XDG_CACHE_HOME", folder.toString());
            Cifar10Archive finder = new Cifar10Archive(environment, address, sha, notices::add);
            Path found = finder.locate();

            assertThat(found).isEqualTo(folder.resolve("lngd4j/cifar10"));
            assertThat(Cifar10.read(found, PER_FILE).training().count()).isEqualTo(15);
            assertThat(finder.locate()).isEqualTo(found);
            assertThat(asked).containsExactly("/a.gz");
            assertThat(notices).hasSize(1);
            try (var files = Files.list(found)) {
                assertThat(files).hasSize(6);
            }

            Files.delete(found.resolve("test_batch.bin"));
            Cifar10Archive wrong =
                    new Cifar10Archive(environment, address, "0".repeat(64), notices::add);
            assertThatThrownBy(wrong::locate)
                    .isInstanceOf(CliException.class)
                    .hasMessageContaining("checksum " + sha + " instead of 000")
                    .hasMessageContaining("--data DIR");
        } finally {
            server.stop(0);
        }
    }

    private void refused(String message) {
        assertThatThrownBy(() -> Cifar10.read(folder, PER_FILE))
                .isInstanceOf(CliException.class)
                .hasMessageContaining(message);
    }

    // Image i of all 18 has the label i % 10, the first byte i + 100 and the last byte i.
    private static byte[] file(int number) {
        byte[] bytes = new byte[PER_FILE * RECORD];
        for (int record = 0; record < PER_FILE; record++) {
            int image = number * PER_FILE + record;
            bytes[record * RECORD] = (byte) (image % 10);
            bytes[record * RECORD + 1] = (byte) (image + 100);
            bytes[record * RECORD + 3072] = (byte) image;
        }
        return bytes;
    }

    private static List<String> names() {
        List<String> names = new ArrayList<>(Cifar10.TRAINING);
        names.add(Cifar10.TEST);
        return names;
    }

    private static void write(Path folder) throws IOException {
        for (int i = 0; i < 6; i++) {
            Files.write(folder.resolve(names().get(i)), file(i));
        }
    }

    // As the official archive: the files in a folder, among others, in another order.
    private static byte[] tar() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        member(out, "cifar-10-batches-bin/", new byte[0]);
        member(out, "cifar-10-batches-bin/batches.meta.txt", new byte[61]);
        for (int i : new int[] {5, 0, 2, 1, 4, 3}) {
            member(out, "cifar-10-batches-bin/" + names().get(i), file(i));
        }
        out.write(new byte[1024]);
        return out.toByteArray();
    }

    private static void member(ByteArrayOutputStream out, String name, byte[] content)
            throws IOException {
        byte[] header = new byte[512];
        byte[] path = name.getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(path, 0, header, 0, path.length);
        byte[] size = String.format("%011o", content.length).getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(size, 0, header, 124, size.length);
        out.write(header);
        out.write(content);
        out.write(new byte[(512 - content.length % 512) % 512]);
    }
}
