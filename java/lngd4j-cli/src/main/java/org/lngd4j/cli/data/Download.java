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
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Downloads one file: resumes where an earlier try stopped, verifies the checksum, and gives the
 * file its name only when it is whole. A try that stops leaves {@code NAME.part}, with which the
 * next goes on; a file with a wrong checksum, or longer than it can be, is deleted.
 *
 * <p>{@link HttpURLConnection} and not {@code java.net.http}: it alone bounds the wait for each
 * read, so that a connection that hangs in the middle is noticed. One that only drips is given up
 * too, and one that never ends fills no disk: so the time of a download is bounded by its size.
 */
final class Download {
    private static final int BUFFER = 1 << 16;
    private static final Duration WINDOW = Duration.ofMinutes(1);
    private static final long LEAST_BYTES_A_SECOND = 4096;

    private final Duration connectTimeout;
    private final Duration readTimeout;
    private final long mostBytes;
    private final Duration window;

    /**
     * @param mostBytes more than the file can have
     */
    Download(Duration connectTimeout, Duration readTimeout, long mostBytes) {
        this(connectTimeout, readTimeout, mostBytes, WINDOW);
    }

    /**
     * @param window how long the answer may take, and how often the rate is looked at
     */
    Download(Duration connectTimeout, Duration readTimeout, long mostBytes, Duration window) {
        this.connectTimeout = connectTimeout;
        this.readTimeout = readTimeout;
        this.mostBytes = mostBytes;
        this.window = window;
    }

    /**
     * Fetches {@code source} to {@code target}.
     *
     * @param checksum in hexadecimal: 64 digits are SHA-256, 32 are MD5. Where a publisher gives
     *     MD5 only, it guards against a damaged transfer; the authenticity is HTTPS's
     * @throws IOException with a message that names the source and tells what went wrong
     */
    void fetch(URI source, Path target, String checksum) throws IOException {
        Path part = target.resolveSibling(target.getFileName() + ".part");
        try {
            transfer(source, part);
        } catch (TooLongException e) {
            Files.deleteIfExists(part);
            throw new IOException(source + ": " + e.getMessage(), e);
        } catch (IOException e) {
            String kept =
                    Files.exists(part)
                            ? " (the next try goes on with " + part.getFileName() + ")"
                            : "";
            throw new IOException(source + ": " + told(e) + kept, e);
        }
        String seen = digest(part, checksum.length() == 64 ? "SHA-256" : "MD5");
        if (!seen.equals(checksum)) {
            Files.delete(part);
            throw new IOException(source + ": checksum " + seen + " instead of " + checksum);
        }
        Files.move(
                part, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    /** What the server sends, or is about to, cannot be the file. */
    private static final class TooLongException extends IOException {
        private static final long serialVersionUID = 1L;

        TooLongException(String message) {
            super(message);
        }
    }

    private static String told(IOException e) {
        return e.getClass() == IOException.class
                ? e.getMessage()
                : e.getClass().getSimpleName() + " " + e.getMessage();
    }

    private void transfer(URI source, Path part) throws IOException {
        long have = Files.exists(part) ? Files.size(part) : 0;
        if (have > mostBytes) {
            Files.delete(part);
            have = 0;
        }
        HttpURLConnection connection = open(source.toURL(), have);
        try {
            int status = status(connection);
            if (have > 0 && (status == 416 || status == 206 && !continuesAt(connection, have))) {
                // The server has nothing after what we hold, or offers another piece: start anew.
                connection.disconnect();
                have = 0;
                connection = open(source.toURL(), 0);
                status = status(connection);
            }
            if (status != 200 && status != 206) {
                throw new IOException("HTTP status " + status);
            }
            boolean append = status == 206;
            long before = append ? have : 0;
            long expected = connection.getContentLengthLong();
            if (before + expected > mostBytes) {
                throw tooLong("the server has " + (before + expected) + " bytes");
            }
            long received = copy(connection, part, before);
            if (expected >= 0 && received < expected) {
                throw new IOException(
                        "connection closed after " + received + " of " + expected + " bytes");
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

    private TooLongException tooLong(String seen) {
        return new TooLongException(seen + ", but the file has less than " + mostBytes);
    }

    /** The status, unless the answer is a drip that each read's timeout lets pass. */
    private int status(HttpURLConnection connection) throws IOException {
        AtomicBoolean late = new AtomicBoolean();
        Thread watch =
                new Thread(
                        () -> {
                            try {
                                Thread.sleep(connectTimeout.plus(window).toMillis());
                                late.set(true);
                                connection.disconnect();
                            } catch (InterruptedException e) {
                                // The answer is there.
                            }
                        },
                        "lngd-download-watch");
        watch.setDaemon(true);
        watch.start();
        try {
            int status = connection.getResponseCode();
            if (!late.get()) {
                return status;
            }
        } catch (IOException e) {
            if (!late.get()) {
                throw e;
            }
        } finally {
            watch.interrupt();
        }
        throw new IOException("no answer within " + seconds(window));
    }

    /** Bytes that came. */
    private long copy(HttpURLConnection connection, Path part, long before) throws IOException {
        StandardOpenOption how =
                before > 0 ? StandardOpenOption.APPEND : StandardOpenOption.TRUNCATE_EXISTING;
        try (InputStream in = connection.getInputStream();
                OutputStream out =
                        Files.newOutputStream(
                                part, StandardOpenOption.CREATE, StandardOpenOption.WRITE, how)) {
            byte[] buffer = new byte[BUFFER];
            long received = 0;
            long ofWindow = 0;
            long begin = System.nanoTime();
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                received += n;
                ofWindow += n;
                if (before + received > mostBytes) {
                    throw tooLong("the server sends more than " + mostBytes + " bytes");
                }
                out.write(buffer, 0, n);
                long nanos = System.nanoTime() - begin;
                if (nanos > window.toNanos()) {
                    if (ofWindow < LEAST_BYTES_A_SECOND * (nanos / 1e9)) {
                        throw new IOException(
                                "too slow: " + ofWindow + " bytes in " + seconds(window));
                    }
                    ofWindow = 0;
                    begin = System.nanoTime();
                }
            }
            return received;
        }
    }

    private static String seconds(Duration duration) {
        return duration.toMillis() / 1000.0 + " s";
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
