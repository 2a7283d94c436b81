// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.util.concurrent.atomic.AtomicBoolean;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.Store;

/** A process group and its store, each with a reference of ours. */
final class Connection implements AutoCloseable {
    private final Store store;
    private final Runnable afterwards;
    private ProcessGroupGloo group; // null: its connections are closed
    private final AtomicBoolean closed = new AtomicBoolean();

    /**
     * Takes over both.
     *
     * @param afterwards what is done when both are freed
     */
    Connection(Store store, ProcessGroupGloo group, Runnable afterwards) {
        this.store = store;
        this.group = group;
        this.afterwards = afterwards;
    }

    /** The group, or null where its connections were closed. */
    ProcessGroupGloo group() {
        return group;
    }

    /** Closes the connections to the other ranks. */
    void disconnect() {
        if (group != null) {
            group.releaseReference();
            group = null;
        }
    }

    /** The group before its store: in the other order the heap of the process is damaged. */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            disconnect();
            store.releaseReference();
            afterwards.run();
        }
    }
}
