// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.cli.CliException;

class FashionMnistTest {
    private static final URI UNREACHABLE = URI.create("http://127.0.0.1:1/");

    @TempDir Path folder;

    private final Map<String, String> environment = new HashMap<>();
    private final List<String> notices = new ArrayList<>();
    private Path system;
    private Path cache;

    @BeforeEach
    void lay() {
        environment.put("XDG_CACHE_HOME", folder.resolve("cache").toString());
        system = folder.resolve("system");
        cache = folder.resolve("cache/lngd4j/fashion-mnist");
    }

    @Test
    void theNamedFolderComesFirst() throws IOException {
        IdxWriter.dataset(system, 4, 2, 2, 2);
        environment.put("LNGD_DATA", "/from/environment");

        assertThat(finder().locate("/from/option")).isEqualTo(Path.of("/from/option"));
        assertThat(finder().locate(null)).isEqualTo(Path.of("/from/environment"));
        assertThat(finder().locate(FashionMnist.NAME)).isEqualTo(Path.of("/from/environment"));
    }

    @Test
    void thenTheSystemFolderThenTheCache() throws IOException {
        IdxWriter.dataset(cache, 4, 2, 2, 2);
        assertThat(finder().locate(null)).isEqualTo(cache);

        IdxWriter.dataset(system, 4, 2, 2, 2);
        assertThat(finder().locate(null)).isEqualTo(system);

        Files.delete(system.resolve("train-images-idx3-ubyte"));
        assertThat(finder().locate(null)).isEqualTo(cache);
        assertThat(notices).isEmpty();
    }

    @Test
    void theCacheIsUnderHomeWhereXdgSaysNothingUsable() {
        environment.put("HOME", "/home/somebody");
        for (String useless : new String[] {null, "", "relative"}) {
            environment.put("XDG_CACHE_HOME", useless);
            environment.values().removeIf(value -> value == null);
            assertThat(finder().cacheFolder())
                    .isEqualTo(Path.of("/home/somebody/.cache/lngd4j/fashion-mnist"));
        }
    }

    @Test
    void thenADownloadOfWhatIsMissing() throws Exception {
        Path origin = folder.resolve("origin");
        IdxWriter.dataset(origin, 4, 2, 2, 2);
        Map<String, String> checksums = new HashMap<>();
        List<String> asked = new ArrayList<>();
        HttpServer server = server(origin, checksums, asked, 0);
        try {
            URI uri = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/");
            FashionMnist finder = finder(uri, checksums, noDebian());

            assertThat(finder.locate(null)).isEqualTo(cache);
            assertThat(Dataset.read(cache).training()).isEqualTo(Dataset.read(origin).training());
            assertThat(asked).containsExactlyElementsOf(Dataset.FILES);
            assertThat(notices).hasSize(1).first().asString().contains("downloading");

            Files.delete(cache.resolve("t10k-images-idx3-ubyte.gz"));
            asked.clear();
            finder.locate(null);
            assertThat(asked).containsExactly("t10k-images-idx3-ubyte");
        } finally {
            server.stop(0);
        }
    }

    /** Two processes are two threads here, which the lock tells apart alike. */
    @Test
    void twoThatFetchAtOnceFetchEachFileOnce() throws Exception {
        Path origin = folder.resolve("origin");
        IdxWriter.dataset(origin, 4, 2, 2, 2);
        List<String> asked = Collections.synchronizedList(new ArrayList<>());
        Map<String, String> checksums = new HashMap<>();
        HttpServer server = server(origin, checksums, asked, 200);
        try {
            URI uri = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/");
            List<String> told = Collections.synchronizedList(new ArrayList<>());
            Callable<Path> locate =
                    () ->
                            new FashionMnist(
                                            environment,
                                            system,
                                            uri,
                                            checksums,
                                            noDebian(),
                                            told::add)
                                    .locate(null);
            ExecutorService both = Executors.newFixedThreadPool(2);
            for (Future<Path> found : both.invokeAll(List.of(locate, locate))) {
                assertThat(found.get()).isEqualTo(cache);
            }
            both.shutdown();
            assertThat(asked).hasSize(4);
            assertThat(told).hasSize(2).anyMatch(line -> line.contains("waiting for it"));
            assertThat(Dataset.read(cache).training()).isEqualTo(Dataset.read(origin).training());
        } finally {
            server.stop(0);
        }
    }

    @Test
    void thenTheDebianPackageUnpackedWithoutRoot() throws IOException {
        Path content = folder.resolve("package/usr/share/datasets/fashion-mnist");
        IdxWriter.dataset(content, 4, 2, 2, 2);
        String apt = script("apt-get", "touch dataset-fashion-mnist_1_all.deb");
        String dpkg =
                script(
                        "dpkg",
                        "[ \"$1\" = -x ] && [ -f \"$2\" ] && cp -r "
                                + folder.resolve("package/usr")
                                + " \"$3\"");

        Path found =
                finder(UNREACHABLE, Map.of(), new DebianPackage(apt, dpkg, Duration.ofSeconds(20)))
                        .locate(null);

        assertThat(found).isEqualTo(cache);
        assertThat(Dataset.read(cache).training().count()).isEqualTo(4);
        try (var left = Files.list(cache)) {
            assertThat(left).hasSize(4);
        }
    }

    @Test
    void withoutPackageListsItFetchesItsOwn() throws IOException {
        Path content = folder.resolve("package/usr/share/datasets/fashion-mnist");
        IdxWriter.dataset(content, 4, 2, 2, 2);
        String apt =
                script(
                        "apt-get",
                        "case \"$*\" in",
                        "  'download dataset-fashion-mnist') echo 'E: Unable to locate package'; exit 100;;",
                        "  *Dir::State::lists=*update) touch lists-were-fetched;;",
                        "  *Dir::State::lists=*'download dataset-fashion-mnist')",
                        "    [ -f lists-were-fetched ] && touch dataset-fashion-mnist_1_all.deb;;",
                        "esac");
        String dpkg = script("dpkg", "cp -r " + folder.resolve("package/usr") + " \"$3\"");

        assertThat(
                        finder(
                                        UNREACHABLE,
                                        Map.of(),
                                        new DebianPackage(apt, dpkg, Duration.ofSeconds(20)))
                                .locate(null))
                .isEqualTo(cache);
    }

    @Test
    void aDamagedPackageLeavesTheCacheEmpty() throws IOException {
        Path content = folder.resolve("package/usr/share/datasets/fashion-mnist");
        IdxWriter.dataset(content, 4, 2, 2, 2);
        Files.write(content.resolve("train-images-idx3-ubyte"), new byte[5]);
        String apt = script("apt-get", "touch dataset-fashion-mnist_1_all.deb");
        String dpkg = script("dpkg", "cp -r " + folder.resolve("package/usr") + " \"$3\"");
        DebianPackage debian = new DebianPackage(apt, dpkg, Duration.ofSeconds(20));

        assertThatThrownBy(() -> finder(UNREACHABLE, Map.of(), debian).locate(null))
                .hasMessageContaining("train-images-idx3-ubyte: not an IDX file");
        assertThat(cache).isEmptyDirectory();
    }

    @Test
    void withNothingOneMessageTellsAllThatWasTried() {
        assertThatThrownBy(() -> finder().locate(null))
                .isInstanceOf(CliException.class)
                .hasMessageContaining("--data DIR and LNGD_DATA: not given")
                .hasMessageContaining(system + ": absent")
                .hasMessageContaining(cache + ": absent")
                .hasMessageContaining("download from 127.0.0.1: " + UNREACHABLE)
                .hasMessageContaining("train-images-idx3-ubyte.gz: ConnectException")
                .hasMessageContaining("Debian package dataset-fashion-mnist: Cannot run program")
                .hasMessageContaining(
                        "name it with --data DIR or LNGD_DATA, or install dataset-fashion-mnist")
                .satisfies(e -> assertThat(((CliException) e).exitStatus()).isEqualTo(2));
    }

    @Test
    void aCacheThatCannotBeMadeIsToldToo() throws IOException {
        Files.createFile(folder.resolve("cache"));

        assertThatThrownBy(() -> finder().locate(null)).hasMessageContaining("cannot be made");
    }

    /** Serves a data set, gzipped, with a pause inside each file. */
    private static HttpServer server(
            Path origin, Map<String, String> checksums, List<String> asked, int pauseMillis)
            throws Exception {
        HttpServer server =
                HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(
                Executors.newCachedThreadPool(
                        task -> {
                            Thread thread = new Thread(task);
                            thread.setDaemon(true);
                            return thread;
                        }));
        for (String name : Dataset.FILES) {
            Path plain = origin.resolve(name);
            byte[] content =
                    Files.exists(plain)
                            ? IdxWriter.gzip(Files.readAllBytes(plain))
                            : Files.readAllBytes(origin.resolve(name + ".gz"));
            checksums.put(
                    name + ".gz",
                    HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(content)));
            server.createContext(
                    "/" + name + ".gz",
                    exchange -> {
                        asked.add(name);
                        exchange.sendResponseHeaders(200, content.length);
                        exchange.getResponseBody().write(content, 0, 10);
                        exchange.getResponseBody().flush();
                        LockSupport.parkNanos(pauseMillis * 1_000_000L);
                        exchange.getResponseBody().write(content, 10, content.length - 10);
                        exchange.close();
                    });
        }
        server.start();
        return server;
    }

    private FashionMnist finder() {
        return finder(UNREACHABLE, Map.of(), noDebian());
    }

    private FashionMnist finder(URI official, Map<String, String> checksums, DebianPackage debian) {
        return new FashionMnist(environment, system, official, checksums, debian, notices::add);
    }

    private DebianPackage noDebian() {
        return new DebianPackage(
                folder.resolve("no-apt-get").toString(), "dpkg", Duration.ofSeconds(5));
    }

    private String script(String name, String... lines) throws IOException {
        Path file = folder.resolve(name);
        Files.writeString(file, "#!/bin/sh\n" + String.join("\n", lines) + "\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
        return file.toString();
    }
}
