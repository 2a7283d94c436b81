// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/**
 * Fills batches ahead on a thread of its own, so that cropping and converting images run beside the
 * network's step. A few buffers go round between two bounded queues: memory stays the same however
 * slow the network is, and which batch comes next never depends on timing.
 */
public final class BatchPipeline implements AutoCloseable {
    // One at the network, one ready, one being filled.
    private static final int BUFFERS = 3;

    private final BlockingQueue<Batch> free = new ArrayBlockingQueue<>(BUFFERS);
    private final BlockingQueue<Filled> ready = new ArrayBlockingQueue<>(BUFFERS + 1);
    private final Thread thread;
    private Batch current;

    /** A batch, or what went wrong while it was filled. */
    private record Filled(Batch batch, Throwable failure) {}

    /**
     * Starts filling.
     *
     * @param filler used by this pipeline's thread alone from now on
     * @param step the first batch, counted through all epochs
     */
    public BatchPipeline(BatchFiller filler, long step) {
        // Made here: the new thread should meet nothing of ND4J but plain memory.
        for (int i = 0; i < BUFFERS; i++) {
            free.add(filler.newBatch());
        }
        thread = new Thread(() -> work(filler, step), "lngd-batches");
        thread.setDaemon(true);
        thread.start();
    }

    /** The next batch; the one before is given back and may be overwritten at once. */
    public Batch next() {
        try {
            if (current != null) {
                free.put(current);
                current = null;
            }
            Filled filled = ready.take();
            if (filled.failure() != null) {
                throw new IllegalStateException("a batch could not be filled", filled.failure());
            }
            current = filled.batch();
            return current;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for a batch", e);
        }
    }

    private void work(BatchFiller filler, long firstStep) {
        int perEpoch = filler.count();
        try {
            for (long step = firstStep; ; step++) {
                Batch batch = free.take();
                filler.fill(batch, (int) (step / perEpoch), (int) (step % perEpoch));
                ready.put(new Filled(batch, null));
            }
        } catch (InterruptedException e) {
            // Closed.
            Thread.currentThread().interrupt();
        } catch (RuntimeException | Error e) {
            ready.add(new Filled(null, e));
        }
    }

    /** Stops the thread. */
    @Override
    public void close() {
        thread.interrupt();
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
