// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.zip.GZIPInputStream;
import org.lngd4j.cli.CliException;

/**
 * Finds CIFAR-10 in the user's cache, or downloads the authors' archive (170 MB) and takes the six
 * files out of it. Only these names are taken, into a folder of ours: a path in an archive decides
 * nothing.
 */
public final class Cifar10Archive {
    private static final URI OFFICIAL =
            URI.create("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz");

    /** SHA-256 of the archive whose MD5 the authors publish (c32a1d4ab5d03f1284b67883e8d87530). */
    private static final String CHECKSUM =
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd";

    private static final int TAR_BLOCK = 512;
    private static final Duration CONNECT = Duration.ofSeconds(5);
    private static final long MOST_BYTES = 256L << 20; // it has 163 MiB
    private static final Duration READ = Duration.ofSeconds(15);

    private final Map<String, String> environment;
    private final URI address;
    private final String checksum;
    private final Consumer<String> notice;

    /**
     * @param notice is told, in one line, of what takes time
     */
    public Cifar10Archive(Consumer<String> notice) {
        this(System.getenv(), OFFICIAL, CHECKSUM, notice);
    }

    Cifar10Archive(
            Map<String, String> environment,
            URI address,
            String checksum,
            Consumer<String> notice) {
        this.environment = environment;
        this.address = address;
        this.checksum = checksum;
        this.notice = notice;
    }

    /** The folder with the six files. */
    @SuppressWarnings("try") // the lock is only held
    public Path locate() {
        Path cache = CacheFolder.of(environment, Cifar10.NAME);
        if (Cifar10.isComplete(cache)) {
            return cache;
        }
        try {
            Files.createDirectories(cache);
        } catch (IOException e) {
            throw notFound(cache, e);
        }
        try (FolderLock lock = FolderLock.of(cache, notice)) {
            if (Cifar10.isComplete(cache)) {
                return cache;
            }
            notice.accept("CIFAR-10: downloading 170 MB to " + cache);
            Path archive = cache.resolve("cifar-10-binary.tar.gz");
            new Download(CONNECT, READ, MOST_BYTES).fetch(address, archive, checksum);
            unpack(archive, cache);
            Files.delete(archive);
            return cache;
        } catch (IOException e) {
            throw notFound(cache, e);
        }
    }

    private CliException notFound(Path cache, IOException e) {
        return CliException.badInput(
                "CIFAR-10 was not found. Tried: cache "
                        + cache
                        + ": incomplete; download from "
                        + address.getHost()
                        + ": "
                        + e.getMessage()
                        + ". Put its six binary files in a folder and name it with --data DIR",
                e);
    }

    // The tar format: a header block with the name at 0 and the size, in octal, at 124, then the
    // content in whole blocks.
    private static void unpack(Path archive, Path target) throws IOException {
        List<String> wanted = new ArrayList<>(Cifar10.TRAINING);
        wanted.add(Cifar10.TEST);
        try (InputStream in =
                new BufferedInputStream(new GZIPInputStream(Files.newInputStream(archive)))) {
            while (!wanted.isEmpty()) {
                byte[] header = in.readNBytes(TAR_BLOCK);
                if (header.length < TAR_BLOCK || header[0] == 0) {
                    throw new IOException("the archive lacks " + String.join(", ", wanted));
                }
                String path = text(header, 0, 100);
                String name = path.substring(path.lastIndexOf('/') + 1);
                long size = octal(text(header, 124, 12));
                long padded = (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
                if (wanted.remove(name)) {
                    byte[] content = in.readNBytes(Math.toIntExact(size));
                    if (content.length < size) {
                        throw new IOException("the archive ends inside " + name);
                    }
                    Path draft = target.resolve(name + ".part");
                    Files.write(draft, content);
                    Files.move(
                            draft,
                            target.resolve(name),
                            StandardCopyOption.ATOMIC_MOVE,
                            StandardCopyOption.REPLACE_EXISTING);
                    in.skipNBytes(padded - size);
                } else {
                    in.skipNBytes(padded);
                }
            }
        }
    }

    private static String text(byte[] header, int from, int length) {
        int end = from;
        while (end < from + length && header[end] != 0) {
            end++;
        }
        return new String(header, from, end - from, StandardCharsets.US_ASCII).strip();
    }

    private static long octal(String digits) throws IOException {
        try {
            return Long.parseLong(digits, 8);
        } catch (NumberFormatException e) {
            throw new IOException("the archive is no tar file", e);
        }
    }
}
