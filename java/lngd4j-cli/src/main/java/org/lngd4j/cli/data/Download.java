// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;

/**
 * Downloads one file: resumes where an earlier try stopped, verifies the checksum, and gives the
 * file its name only when it is whole. A try that stops leaves {@code NAME.part}; a file with a
 * wrong checksum is deleted.
 *
 * <p>{@link HttpURLConnection} and not {@code java.net.http}: it alone bounds the wait for each
 * read, so that a connection that hangs in the middle is noticed.
 */
final class Download {
    private static final int BUFFER = 1 << 16;

    private final Duration connectTimeout;
    private final Duration readTimeout;

    Download(Duration connectTimeout, Duration readTimeout) {
        this.connectTimeout = connectTimeout;
        this.readTimeout = readTimeout;
    }

    /**
     * Fetches {@code source} to {@code target}.
     *
     * @param checksum in hexadecimal: 64 digits are SHA-256, 32 are MD5. Where a publisher gives
     *     MD5 only, it guards against a damaged transfer; the authenticity is HTTPS's
     * @throws IOException with a message that tells what went wrong
     */
    void fetch(URI source, Path target, String checksum) throws IOException {
        Path part = target.resolveSibling(target.getFileName() + ".part");
        transfer(source, part);
        String seen = digest(part, checksum.length() == 64 ? "SHA-256" : "MD5");
        if (!seen.equals(checksum)) {
            Files.delete(part);
            throw new IOException(source + ": checksum " + seen + " instead of " + checksum);
        }
        Files.move(
                part, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    private void transfer(URI source, Path part) throws IOException {
        long have = Files.exists(part) ? Files.size(part) : 0;
        HttpURLConnection connection = open(source.toURL(), have);
        try {
            int status = connection.getResponseCode();
            if (have > 0 && (status == 416 || status == 206 && !continuesAt(connection, have))) {
                // The server has nothing after what we hold, or offers another piece: start anew.
                connection.disconnect();
                have = 0;
                connection = open(source.toURL(), 0);
                status = connection.getResponseCode();
            }
            if (status != 200 && status != 206) {
                throw new IOException(source + ": HTTP status " + status);
            }
            boolean append = status == 206;
            long expected = connection.getContentLengthLong();
            long received = copy(connection, part, append);
            if (expected >= 0 && received < expected) {
                throw new IOException(
                        source
                                + ": connection closed after "
                                + received
                                + " of "
                                + expected
                                + " bytes");
            }
        } finally {
            connection.disconnect();
        }
    }

    private HttpURLConnection open(URL url, long from) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) url.openConnection();
        connection.setConnectTimeout((int) connectTimeout.toMillis());
        connection.setReadTimeout((int) readTimeout.toMillis());
        connection.setRequestProperty("Accept-Encoding", "identity");
        if (from > 0) {
            connection.setRequestProperty("Range", "bytes=" + from + "-");
        }
        return connection;
    }

    private static boolean continuesAt(HttpURLConnection connection, long position) {
        String range = connection.getHeaderField("Content-Range");
        return range != null && range.startsWith("bytes " + position + "-");
    }

    private static long copy(HttpURLConnection connection, Path part, boolean append)
            throws IOException {
        StandardOpenOption how =
                append ? StandardOpenOption.APPEND : StandardOpenOption.TRUNCATE_EXISTING;
        try (InputStream in = connection.getInputStream();
                OutputStream out =
                        Files.newOutputStream(
                                part, StandardOpenOption.CREATE, StandardOpenOption.WRITE, how)) {
            return in.transferTo(out);
        }
    }

    private static String digest(Path file, String algorithm) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            MessageDigest digest = MessageDigest.getInstance(algorithm);
            byte[] buffer = new byte[BUFFER];
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                digest.update(buffer, 0, n);
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every JDK has " + algorithm, e);
        }
    }
}
