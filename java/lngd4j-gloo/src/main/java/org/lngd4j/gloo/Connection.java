// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BackendOptional;
import org.bytedeco.pytorch.ProcessGroup;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.Store;
import org.bytedeco.pytorch.global.torch;

/** A process group and its store, each with a reference of ours. */
final class Connection implements AutoCloseable {
    private final Store store;
    private ProcessGroupGloo group; // null: its connections are closed
    private ProcessGroup wrapper; // of the group, for those who want one; null: nobody does
    private final List<BucketReducer> reducers = new ArrayList<>(); // they hold the wrapper
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

    /** The same connections, as PyTorch's data-parallel code takes them. */
    @SuppressWarnings("try") // scopes that are only opened and closed
    ProcessGroup wrapped(int rank, int size) {
        if (wrapper == null) {
            try (PointerScope scope = new PointerScope()) {
                wrapper = new ProcessGroup(rank, size);
                wrapper.setBackend(
                        torch.DeviceType.CPU,
                        ProcessGroup.BackendType.GLOO,
                        new BackendOptional(group));
                wrapper.setDefaultBackend(ProcessGroup.BackendType.GLOO);
                wrapper.retainReference();
            }
        }
        return wrapper;
    }

    void add(BucketReducer reducer) {
        reducers.add(reducer);
    }

    void remove(BucketReducer reducer) {
        reducers.remove(reducer);
    }

    /** Closes the connections to the other ranks. */
    void disconnect() {
        List.copyOf(reducers).forEach(BucketReducer::close);
        if (wrapper != null) {
            wrapper.releaseReference();
            wrapper = null;
        }
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
