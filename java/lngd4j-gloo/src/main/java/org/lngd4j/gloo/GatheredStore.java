// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.ByteVector;
import org.bytedeco.pytorch.FileStore;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.Store;
import org.bytedeco.pytorch.StringVector;

/**
 * Connects ranks that have an all-gather already. Each has a {@code FileStore} of its own, in a
 * file that no other rank sees. Gloo writes this rank's address into it and waits for those of the
 * others, in a thread of its own; meanwhile rounds of the all-gather carry what is new to all of
 * them. What the keys are, and how many rounds it takes, is Gloo's affair. Nothing listens for it.
 *
 * <p>Not {@code TCPStore}, which listens on all interfaces.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class GatheredStore {
    private static final String CONNECTED = "connected";
    private static final String WAITING = "waiting";
    private static final String FAILED = "failed ";
    private static final long ROUND_MS = 50; // Gloo has its address ready in a few

    private final TextGather gather;
    private final GlooAddress address;
    private final int rank;
    private final int size;
    private final Duration timeout;
    private final Set<String> known = new HashSet<>(); // keys that all ranks have

    GatheredStore(TextGather gather, GlooAddress address, int rank, int size, Duration timeout) {
        this.gather = gather;
        this.address = address;
        this.rank = rank;
        this.size = size;
        this.timeout = timeout;
    }

    /** Blocks until all ranks are connected. */
    Connection connect() {
        Path file = temporary();
        Store own = open(file);
        Store ours = open(file);
        CompletableFuture<Connection> made = new CompletableFuture<>();
        Thread thread =
                new Thread(
                        () -> {
                            try {
                                ProcessGroupGloo group = address.group(own, rank, size, timeout);
                                made.complete(new Connection(own, group));
                            } catch (RuntimeException | Error e) {
                                own.releaseReference();
                                made.completeExceptionally(e);
                            }
                        },
                        "gloo-connect-" + rank);
        thread.setDaemon(true);
        thread.start();
        boolean kept = false;
        try {
            exchange(ours, made);
            kept = true;
            return made.join();
        } finally {
            ours.releaseReference();
            delete(file); // nobody needs it any more; a process that is killed leaves none
            if (!kept) { // now or when Gloo has given up
                made.thenAccept(Connection::close);
            }
        }
    }

    private void exchange(Store ours, CompletableFuture<Connection> made) {
        boolean all = false;
        while (!all) {
            String state = await(made);
            List<String> told = gather.gather(state + "\n" + fresh(ours));
            all = true;
            for (int r = 0; r < told.size(); r++) {
                List<String> lines = told.get(r).lines().toList();
                if (lines.get(0).startsWith(FAILED)) {
                    throw new RanksException(
                            "rank "
                                    + r
                                    + " could not connect: "
                                    + lines.get(0).substring(FAILED.length()),
                            null);
                }
                all &= lines.get(0).equals(CONNECTED);
                if (r != rank) {
                    lines.subList(1, lines.size()).forEach(line -> add(ours, line));
                }
            }
        }
    }

    private static String await(CompletableFuture<Connection> made) {
        try {
            made.get(ROUND_MS, TimeUnit.MILLISECONDS);
            return CONNECTED;
        } catch (TimeoutException e) {
            return WAITING;
        } catch (ExecutionException e) {
            return FAILED + Ranks.firstLine(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return FAILED + "interrupted";
        }
    }

    /** Keys and values that Gloo has written here since the last round, one a line. */
    private String fresh(Store ours) {
        StringBuilder text = new StringBuilder();
        try (PointerScope scope = new PointerScope()) {
            for (String key : keys(ours)) {
                if (known.add(key)) {
                    ByteVector value = ours.get(key);
                    byte[] bytes = new byte[Math.toIntExact(value.size())];
                    for (int i = 0; i < bytes.length; i++) {
                        bytes[i] = value.get(i);
                    }
                    Base64.Encoder base64 = Base64.getEncoder();
                    text.append(base64.encodeToString(key.getBytes(StandardCharsets.UTF_8)))
                            .append(' ')
                            .append(base64.encodeToString(bytes))
                            .append('\n');
                }
            }
        }
        return text.toString();
    }

    /** FileStore lists its own count of references too, by a key that is none. */
    private static List<String> keys(Store ours) {
        List<String> keys = new ArrayList<>();
        StringVector all = ours.listKeys();
        for (long i = 0; i < all.size(); i++) {
            BytePointer key = all.get(i);
            if (ours.check(new StringVector(key))) {
                keys.add(key.getString());
            }
        }
        return keys;
    }

    private void add(Store ours, String line) {
        int blank = line.indexOf(' ');
        Base64.Decoder base64 = Base64.getDecoder();
        String key = new String(base64.decode(line.substring(0, blank)), StandardCharsets.UTF_8);
        if (known.add(key)) {
            try (PointerScope scope = new PointerScope()) {
                ours.set(key, new ByteVector(base64.decode(line.substring(blank + 1))));
            }
        }
    }

    private Store open(Path file) {
        try (PointerScope scope = new PointerScope()) {
            Store store = new FileStore(file.toString(), 2);
            store.setTimeout(new Milliseconds(timeout.toMillis()));
            store.retainReference();
            return store;
        }
    }

    private static Path temporary() {
        try {
            return Files.createTempFile("lngd-ranks-", ".store"); // readable by its owner only
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) { // a temporary file of a few bytes
            System.getLogger("org.lngd4j.gloo").log(System.Logger.Level.DEBUG, "left", e);
        }
    }
}
