// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLConnection;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * A folder of files copied out of jars. A file appears under its name only when it is complete
 * (written aside, then renamed), so that processes that start together, or one that is killed,
 * never see half a library.
 */
final class FileCache {
    private final Path folder;

    FileCache(Path folder) {
        this.folder = folder;
    }

    /** What is done to a copy before it appears; must not change its size. */
    interface Edit {
        void apply(Path file) throws IOException;
    }

    /** The copy of {@code source} called {@code name}; made if it is absent or of another size. */
    Path file(String name, URL source) throws IOException {
        return file(name, source, copy -> {});
    }

    /**
     * Size and checksum as the jar's directory has them (nothing is read): the name of a folder in
     * which each version has its own place. JavaCPP's cache goes by size and date, and the files of
     * a reproducible build all have one date: it would keep serving an old library.
     */
    static String fingerprint(URL url) throws IOException {
        URLConnection connection = url.openConnection();
        if (connection instanceof JarURLConnection jar && jar.getJarEntry() != null) {
            return jar.getJarEntry().getSize() + "-" + Long.toHexString(jar.getJarEntry().getCrc());
        }
        return Long.toString(connection.getContentLengthLong());
    }

    /**
     * The copy of {@code source} called {@code name}, edited; made if it is absent or of another
     * size.
     */
    Path file(String name, URL source, Edit edit) throws IOException {
        Path target = folder.resolve(name);
        long size = source.openConnection().getContentLengthLong();
        if (Files.isRegularFile(target) && Files.size(target) == size) {
            return target;
        }
        Files.createDirectories(folder);
        Path aside = Files.createTempFile(folder, name, ".part");
        try (InputStream in = source.openStream()) {
            Files.copy(in, aside, StandardCopyOption.REPLACE_EXISTING);
            if (size >= 0 && Files.size(aside) != size) {
                throw new IOException(
                        source + ": " + Files.size(aside) + " bytes came instead of " + size);
            }
            edit.apply(aside);
            Files.move(
                    aside,
                    target,
                    StandardCopyOption.ATOMIC_MOVE,
                    StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(aside);
        }
        return target;
    }
}
