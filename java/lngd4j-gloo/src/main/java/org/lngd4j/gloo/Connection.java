// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.util.concurrent.atomic.AtomicBoolean;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.Store;

/** A process group and its store, each with a reference of ours. */
final class Connection implements AutoCloseable {
    private final Store store;
    private ProcessGroupGloo group; // null: its connections are closed
    private final AtomicBoolean closed = new AtomicBoolean();

    /** Takes over both. */
    Connection(Store store, ProcessGroupGloo group) {
        this.store = store;
        this.group = group;
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
        }
    }
}
