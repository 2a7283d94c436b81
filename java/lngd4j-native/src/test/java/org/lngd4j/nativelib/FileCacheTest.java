// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Copies of libraries out of jars. */
class FileCacheTest {
    @TempDir Path folder;

    private byte[] content;
    private URL source;

    @BeforeEach
    void makeSource() throws Exception {
        content = new byte[1 << 20];
        new Random(1).nextBytes(content);
        source = Files.write(folder.resolve("source"), content).toUri().toURL();
    }

    @Test
    void aCopyIsMadeOnce() throws Exception {
        FileCache cache = new FileCache(folder.resolve("cache"));
        Path copy = cache.file("library", source);
        assertThat(copy).hasBinaryContent(content);
        Object key = Files.readAttributes(copy, "unix:ino").get("ino");
        cache.file("library", source);
        assertThat(Files.readAttributes(copy, "unix:ino").get("ino")).isEqualTo(key);
        try (var files = Files.list(folder.resolve("cache"))) {
            assertThat(files).containsExactly(copy);
        }
    }

    @Test
    void aTruncatedCopyIsReplaced() throws Exception {
        FileCache cache = new FileCache(folder.resolve("cache"));
        Path copy = cache.file("library", source);
        Files.write(copy, new byte[] {1, 2, 3});
        assertThat(cache.file("library", source)).hasBinaryContent(content);
    }

    @Test
    void manyAtOnceAllSeeAWholeFile() throws Exception {
        FileCache cache = new FileCache(folder.resolve("cache"));
        List<Throwable> failures = java.util.Collections.synchronizedList(new ArrayList<>());
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            Thread thread =
                    new Thread(
                            () -> {
                                try {
                                    assertThat(cache.file("library", source))
                                            .hasBinaryContent(content);
                                } catch (Exception | AssertionError e) {
                                    failures.add(e);
                                }
                            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(failures).isEmpty();
    }
}
