// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DownloadTest {
    private static final byte[] CONTENT = new byte[300_000];

    static {
        new Random(1).nextBytes(CONTENT);
    }

    @TempDir Path folder;

    private final List<String> ranges = new ArrayList<>();
    private final Download download =
            new Download(
                    Duration.ofSeconds(2), Duration.ofMillis(500), 400_000, Duration.ofSeconds(2));
    private HttpServer server;
    private boolean rangesAllowed = true;
    private int breakAfter = Integer.MAX_VALUE;
    private String md5;
    private Path target;

    @BeforeEach
    void startServer() throws Exception {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/file", this::serve);
        server.start();
        md5 = HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(CONTENT));
        target = folder.resolve("file");
    }

    @AfterEach
    void stopServer() {
        server.stop(0);
    }

    @Test
    void fetchesAWholeFile() throws IOException {
        download.fetch(uri("/file"), target, md5);

        assertThat(target).hasBinaryContent(CONTENT);
        assertThat(folder.resolve("file.part")).doesNotExist();
    }

    @Test
    void goesOnWhereABrokenConnectionStopped() throws IOException {
        breakAfter = 123_456;
        assertThatThrownBy(() -> download.fetch(uri("/file"), target, md5))
                .isInstanceOf(IOException.class);
        assertThat(target).doesNotExist();
        long have = Files.size(folder.resolve("file.part"));
        assertThat(have).isPositive();

        breakAfter = Integer.MAX_VALUE;
        download.fetch(uri("/file"), target, md5);

        assertThat(target).hasBinaryContent(CONTENT);
        assertThat(ranges).containsExactly("none", "bytes=" + have + "-");
    }

    @Test
    void beginsAnewWhereTheServerCannotResume() throws IOException {
        Files.write(folder.resolve("file.part"), Arrays.copyOf(CONTENT, 1000));
        rangesAllowed = false;

        download.fetch(uri("/file"), target, md5);

        assertThat(target).hasBinaryContent(CONTENT);
    }

    @Test
    void beginsAnewWhereThePartIsAsLongAsTheFile() throws IOException {
        Files.write(folder.resolve("file.part"), new byte[CONTENT.length]);

        download.fetch(uri("/file"), target, md5);

        assertThat(target).hasBinaryContent(CONTENT);
        assertThat(ranges).containsExactly("bytes=" + CONTENT.length + "-", "none");
    }

    @Test
    void aWrongChecksumLeavesNothing() {
        String wrong = "0".repeat(32);

        assertThatThrownBy(() -> download.fetch(uri("/file"), target, wrong))
                .hasMessageContaining("checksum " + md5 + " instead of " + wrong);
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void tellsOfAnAbsentFileAndAnUnreachableServer() throws IOException {
        assertThatThrownBy(() -> download.fetch(uri("/none"), target, md5))
                .hasMessageContaining("HTTP status 404");
        int port = server.getAddress().getPort();
        server.stop(0);
        URI gone = URI.create("http://127.0.0.1:" + port + "/file");
        assertThatThrownBy(() -> download.fetch(gone, target, md5)).isInstanceOf(IOException.class);
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void aServerThatNeverAnswersIsGivenUp() throws IOException {
        // It accepts the connection (the kernel does) and then keeps silent.
        try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            URI uri = URI.create("http://127.0.0.1:" + silent.getLocalPort() + "/file");
            long begin = System.nanoTime();
            assertThatThrownBy(() -> download.fetch(uri, target, md5))
                    .isInstanceOf(IOException.class);
            assertThat(Duration.ofNanos(System.nanoTime() - begin))
                    .isLessThan(Duration.ofSeconds(10));
        }
    }

    /** Each of its reads comes in time. */
    @Test
    void aServerThatDripsIsGivenUpInItsAnswerAndInTheFile() throws IOException {
        String head = "HTTP/1.1 200 OK\r\nX-Drip: ";
        try (Drip server = new Drip(head)) {
            refusedInTime(server, "no answer within 2.0 s");
            assertThat(folder).isEmptyDirectory();
        }
        head = "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n";
        try (Drip server = new Drip(head)) {
            refusedInTime(server, "too slow: ", "(the next try goes on with file.part)");
            assertThat(folder.resolve("file.part")).isNotEmptyFile();
        }
    }

    private void refusedInTime(Drip server, String... words) {
        long begin = System.nanoTime();
        assertThatThrownBy(() -> download.fetch(server.uri(), target, md5))
                .isInstanceOf(IOException.class)
                .hasMessageStartingWith(server.uri() + ": ")
                .hasMessageContainingAll(words);
        assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(15));
    }

    /** Ten bytes a second behind what it begins with. */
    private static final class Drip implements AutoCloseable {
        private final ServerSocket socket =
                new ServerSocket(0, 5, InetAddress.getLoopbackAddress());

        Drip(String head) throws IOException {
            Thread thread =
                    new Thread(
                            () -> {
                                try (Socket client = socket.accept()) {
                                    client.getOutputStream().write(head.getBytes());
                                    while (true) {
                                        client.getOutputStream().write('x');
                                        Thread.sleep(100);
                                    }
                                } catch (IOException | InterruptedException e) {
                                    // The client has gone.
                                }
                            });
            thread.setDaemon(true);
            thread.start();
        }

        URI uri() {
            return URI.create("http://127.0.0.1:" + socket.getLocalPort() + "/file");
        }

        @Override
        public void close() throws IOException {
            socket.close();
        }
    }

    @Test
    void aFileWithoutEndFillsNoDisk() throws IOException {
        server.createContext(
                "/endless",
                exchange -> {
                    exchange.sendResponseHeaders(200, 0); // chunks, without a length
                    while (true) {
                        exchange.getResponseBody().write(CONTENT);
                    }
                });
        assertThatThrownBy(() -> download.fetch(uri("/endless"), target, md5))
                .hasMessageContaining("/endless: the server sends more than 400000 bytes");
        assertThat(folder).isEmptyDirectory();

        server.createContext(
                "/huge",
                exchange -> {
                    exchange.sendResponseHeaders(200, 1L << 40);
                    exchange.getResponseBody().write(CONTENT);
                });
        assertThatThrownBy(() -> download.fetch(uri("/huge"), target, md5))
                .hasMessageContaining("/huge: the server has 1099511627776 bytes, but the file");
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void aPartThatIsTooLongIsNotGoneOnWith() throws IOException {
        Files.write(folder.resolve("file.part"), new byte[400_001]);
        download.fetch(uri("/file"), target, md5);

        assertThat(target).hasBinaryContent(CONTENT);
        assertThat(ranges).containsExactly("none");
    }

    private URI uri(String path) {
        return URI.create("http://127.0.0.1:" + server.getAddress().getPort() + path);
    }

    private void serve(HttpExchange exchange) throws IOException {
        String range = exchange.getRequestHeaders().getFirst("Range");
        ranges.add(range == null ? "none" : range);
        int from =
                range == null || !rangesAllowed
                        ? 0
                        : Integer.parseInt(range.substring(6, range.length() - 1));
        if (from >= CONTENT.length) {
            exchange.sendResponseHeaders(416, -1);
        } else {
            if (from > 0) {
                String shown = "bytes " + from + "-" + (CONTENT.length - 1) + "/" + CONTENT.length;
                exchange.getResponseHeaders().add("Content-Range", shown);
            }
            exchange.sendResponseHeaders(from > 0 ? 206 : 200, CONTENT.length - from);
            exchange.getResponseBody()
                    .write(CONTENT, from, Math.min(breakAfter, CONTENT.length - from));
            exchange.getResponseBody().flush();
        }
        exchange.close();
    }
}
