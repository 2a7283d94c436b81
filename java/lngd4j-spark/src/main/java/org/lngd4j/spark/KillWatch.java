// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import org.apache.spark.TaskContext;

/**
 * Interrupts the thread of a task that Spark has killed and that goes on, as a rank that hangs does
 * when another has given up. Spark itself only marks a task of a barrier stage as killed; the slot
 * that it holds would keep the next attempt from starting.
 */
final class KillWatch implements AutoCloseable {
    private static final long PERIOD_MS = 500;

    private final TaskContext context;
    private final Thread task = Thread.currentThread();
    private final Thread watch = new Thread(this::watch, "lngd-kill-watch");
    private boolean ended;

    private KillWatch(TaskContext context) {
        this.context = context;
    }

    /** Watches the calling thread. */
    static KillWatch start(TaskContext context) {
        KillWatch made = new KillWatch(context);
        made.watch.setDaemon(true);
        made.watch.start();
        return made;
    }

    private synchronized void watch() {
        try {
            boolean killed = false;
            while (!ended) {
                wait(PERIOD_MS);
                if (killed && !ended) { // it had one period to end by itself
                    task.interrupt();
                }
                killed = context.isInterrupted();
            }
        } catch (InterruptedException e) { // nobody does
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public synchronized void close() {
        ended = true;
        notifyAll();
    }
}
