// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.Consumer;

/**
 * One process at a time fetches into a folder: two that go on with one partial file damage it. Ends
 * with the process, however that ends; the file, which lies beside the folder, stays, since who
 * deletes it may take away the lock of the next.
 */
final class FolderLock implements AutoCloseable {
    private static final long POLL_MILLIS = 100;

    private final FileChannel channel;

    private FolderLock(FileChannel channel) {
        this.channel = channel;
    }

    /**
     * Waits until the folder is free.
     *
     * @param folder exists
     * @param waiting is told, in one line, where that takes time
     */
    static FolderLock of(Path folder, Consumer<String> waiting) throws IOException {
        FileChannel channel =
                FileChannel.open(
                        folder.resolveSibling(folder.getFileName() + ".lock"),
                        StandardOpenOption.CREATE,
                        StandardOpenOption.WRITE);
        try {
            if (!isTaken(channel)) {
                waiting.accept("another process fetches into " + folder + ": waiting for it");
                while (!isTaken(channel)) {
                    Thread.sleep(POLL_MILLIS);
                }
            }
            return new FolderLock(channel);
        } catch (InterruptedException e) {
            channel.close();
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while another process fetches into " + folder, e);
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    private static boolean isTaken(FileChannel channel) throws IOException {
        try {
            return channel.tryLock() != null;
        } catch (OverlappingFileLockException e) { // another thread of this process
            return false;
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
