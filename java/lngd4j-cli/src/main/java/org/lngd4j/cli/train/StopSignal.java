// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Turns Ctrl-C (SIGINT) and SIGTERM into a request to stop after the current step. A shutdown hook
 * and not a signal handler: the JDK has no supported interface for the latter. The hook holds the
 * JVM until the run has written its checkpoint, then ends the process with status {@value
 * #EXIT_STATUS}.
 */
public final class StopSignal implements AutoCloseable {
    /** The exit status of a run that was stopped: 128 + SIGINT, as shells have it. */
    public static final int EXIT_STATUS = 130;

    // A step and a checkpoint take far less; after this long something hangs, and the user's Ctrl-C
    // must win.
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final CountDownLatch finished = new CountDownLatch(1);
    private volatile boolean requested;
    private Thread hook;

    /** A signal that only {@link #request} can give. */
    public StopSignal() {}

    /** Listens for the process's signals until {@link #close}. */
    public static StopSignal ofProcess() {
        StopSignal signal = new StopSignal();
        signal.hook = new Thread(signal::shutDown, "lngd-stop");
        Runtime.getRuntime().addShutdownHook(signal.hook);
        return signal;
    }

    /** Asks the run to stop after its current step. */
    public void request() {
        requested = true;
    }

    /** Whether the run is to stop. */
    public boolean requested() {
        return requested;
    }

    /** The run has ended by itself, or has written all it will write. */
    @Override
    public void close() {
        finished.countDown();
        if (hook != null && !requested) {
            try {
                Runtime.getRuntime().removeShutdownHook(hook);
            } catch (IllegalStateException e) {
                // The process is ending already; the hook finds the latch open.
                requested = true;
            }
        }
    }

    private void shutDown() {
        if (finished.getCount() == 0) {
            return;
        }
        requested = true;
        try {
            finished.await(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        System.out.flush();
        System.err.flush();
        Runtime.getRuntime().halt(EXIT_STATUS);
    }
}
