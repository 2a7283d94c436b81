// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.lngd4j.cli.CliException;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Loads natives of ND4J and PyTorch, one process at a time. JavaCPP has a lock too, but for each
 * file that it writes: the dynamic linker, which loads a library together with those beside it that
 * it needs, meets one that another process is writing, and dies of SIGBUS or of half a file.
 *
 * <p>Safe for use by several threads.
 */
public final class Natives {
    private static final String LOCK = "lngd.lock";
    private static final long POLL_MILLIS = 50;
    private static final long PATIENCE_SECONDS = 10;

    private Natives() {}

    /**
     * The folder that natives are unpacked to, found fit. Before natives of any kind: LNGD's own
     * need no lock, but a folder they do.
     *
     * @throws CliException where it is not, in one line that names the setting
     */
    public static Path checkedFolder() {
        NativesFolder.choose(); // the command has; whoever calls a part of it has not
        return NativesFolder.checked();
    }

    /** Loads those of ND4J; at once where they are loaded. */
    public static void loadNd4j() {
        load(Nd4j::getBackend);
    }

    /**
     * Loads natives while no other process of the command does.
     *
     * @param loading loads them, with all that they need
     * @throws CliException where the folder that they are unpacked to is unfit, see {@link
     *     NativesFolder}
     */
    public static synchronized void load(Runnable loading) {
        Path file = checkedFolder().resolve(LOCK);
        try (FileChannel channel =
                FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            lock(channel, file);
            loading.run();
        } catch (IOException e) {
            throw CliException.failure(
                    file
                            + ": cannot be locked ("
                            + e
                            + "); name a folder on a local disk with LNGD_JAVA_OPTS=-D"
                            + NativesFolder.PROPERTY
                            + "=DIR",
                    e);
        }
    }

    /** Ends with the channel, or with the process, however that ends. */
    private static FileLock lock(FileChannel channel, Path file) throws IOException {
        long begin = System.nanoTime();
        boolean told = false;
        FileLock lock = channel.tryLock();
        while (lock == null) {
            if (!told && System.nanoTime() - begin > TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS)) {
                told = true;
                System.err.println(
                        "lngd: waiting for another process that loads natives (it holds "
                                + file
                                + ")");
            }
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(POLL_MILLIS));
            lock = channel.tryLock();
        }
        return lock;
    }
}
