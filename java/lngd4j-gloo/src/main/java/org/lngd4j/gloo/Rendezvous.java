// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.javacpp.SizeTPointer;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.FileStore;
import org.bytedeco.pytorch.Store;
import org.bytedeco.pytorch.TCPStore;
import org.bytedeco.pytorch.TCPStoreOptions;
import org.lngd4j.nativelib.LngdArgumentException;

/** Where ranks find each other's addresses: the same for all of them. */
public final class Rendezvous {
    private static final int LARGEST_PORT = 65535;

    private final Path file; // null: another kind
    private final String host;
    private final int port;
    private final TextGather gather; // null: none

    private Rendezvous(Path file, String host, int port, TextGather gather) {
        this.file = file;
        this.host = host;
        this.port = port;
        this.gather = gather;
    }

    /**
     * A file that all ranks can write: on one machine, or on a file system that they share and that
     * has locks ({@code fcntl}). PyTorch's {@code FileStore}; nothing listens for it.
     *
     * @param path the file: not there yet, or empty, when the first rank comes. A file of another
     *     run would be read as this one's addresses
     * @return the rendezvous
     * @throws LngdArgumentException if the path is null, or its folder is not there
     */
    public static Rendezvous file(Path path) {
        if (path == null) {
            throw new LngdArgumentException("path is null");
        }
        Path whole = path.toAbsolutePath();
        if (whole.getParent() == null || !Files.isDirectory(whole.getParent())) {
            throw new LngdArgumentException(
                    "path is " + path + ", allowed is a file in a folder that is there");
        }
        return new Rendezvous(whole, null, 0, null);
    }

    /**
     * A server on rank 0: PyTorch's {@code TCPStore}. It listens on <b>all</b> interfaces of rank
     * 0's machine, for as long as its {@link Ranks} are open, without authentication: PyTorch has
     * no setting for that. Where this is too much, use {@link #file}, or a firewall.
     *
     * @param host name or address of rank 0's machine, as all ranks reach it
     * @param port 1 to 65535, free there
     * @return the rendezvous
     * @throws LngdArgumentException if the host is null or blank, or the port out of its range
     */
    public static Rendezvous tcp(String host, int port) {
        if (host == null || host.isBlank()) {
            throw new LngdArgumentException(
                    "host is " + host + ", allowed is the name or address of rank 0's machine");
        }
        if (port < 1 || port > LARGEST_PORT) {
            throw new LngdArgumentException(
                    "port is " + port + ", allowed is 1 to " + LARGEST_PORT);
        }
        return new Rendezvous(null, host, port, null);
    }

    /**
     * An all-gather that the ranks have already, such as that of a barrier stage of Spark: it
     * carries the addresses, in a few rounds of some hundred bytes. Nothing listens for it.
     *
     * @param gather called by {@link Ranks#connect} on the thread that connects, as often as it
     *     takes, on all ranks alike. What it throws ends the connecting
     * @return the rendezvous
     * @throws LngdArgumentException if it is null
     */
    public static Rendezvous gathered(TextGather gather) {
        if (gather == null) {
            throw new LngdArgumentException("gather is null");
        }
        return new Rendezvous(null, null, 0, gather);
    }

    /** Blocks until all ranks are connected; the caller closes what it gets. */
    Connection connect(GlooAddress address, int rank, int size, Duration timeout) {
        if (gather != null) {
            return new GatheredStore(gather, address, rank, size, timeout).connect();
        }
        Store store = open(rank, size, timeout);
        try {
            return new Connection(store, address.group(store, rank, size, timeout));
        } catch (RuntimeException e) {
            store.releaseReference();
            throw e;
        }
    }

    /** Opens it; the caller holds a reference of the store. Blocks until the server is there. */
    @SuppressWarnings("try") // scopes that are only opened and closed
    private Store open(int rank, int size, Duration timeout) {
        try (PointerScope scope = new PointerScope()) {
            Store store =
                    file != null
                            ? new FileStore(file.toString(), size)
                            : server(rank, size, timeout);
            store.setTimeout(new Milliseconds(timeout.toMillis()));
            store.retainReference();
            return store;
        }
    }

    private Store server(int rank, int size, Duration timeout) {
        TCPStoreOptions options = new TCPStoreOptions();
        options.port((short) port); // unsigned in C++
        options.isServer(rank == 0);
        options.numWorkers(new SizeTPointer(1).put(size));
        options.waitWorkers(false);
        options.timeout(new Milliseconds(timeout.toMillis()));
        return new TCPStore(host, options);
    }

    @Override
    public String toString() {
        if (gather != null) {
            return "an all-gather";
        }
        return file != null ? file.toString() : host + ":" + port;
    }
}
