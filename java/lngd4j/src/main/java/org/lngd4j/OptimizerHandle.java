// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import org.lngd4j.nativelib.LngdBusyException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_optimizer;

/**
 * The native optimizer and the door to it: one thread at a time, none after the end. The native
 * library has the same rule, but the pointers and structs that Java reuses from call to call need
 * it before the call is made.
 *
 * <p>A caller that finds the door shut gets an exception instead of waiting, since two threads that
 * train one network are a mistake that waiting would hide.
 */
final class OptimizerHandle {
    private final lngd_optimizer pointer;
    private final AtomicBoolean busy = new AtomicBoolean();
    private final ConcurrentLinkedQueue<Part> orphans = new ConcurrentLinkedQueue<>();

    /** Parts that the native destroy does not free. */
    private final Set<Part> buffers = ConcurrentHashMap.newKeySet();

    private boolean destroyed;

    /** Something native that belongs to the optimizer: a plan, or memory of its device. */
    interface Part {
        void free(lngd_optimizer optimizer);
    }

    OptimizerHandle(lngd_optimizer pointer) {
        this.pointer = pointer;
    }

    /** Opens the door; every call must be followed by {@link #exit()} in a finally block. */
    lngd_optimizer enter() {
        if (!busy.compareAndSet(false, true)) {
            throw new LngdBusyException("the optimizer is in use by another thread");
        }
        if (destroyed) {
            busy.set(false);
            throw new LngdHandleException("the optimizer was closed");
        }
        if (!orphans.isEmpty()) {
            freeOrphans();
        }
        return pointer;
    }

    void exit() {
        busy.set(false);
    }

    /** A part that has to be freed before the optimizer ends. */
    void keep(Part buffer) {
        buffers.add(buffer);
    }

    /**
     * Frees a part now if the door is open, else with the next call: the cleaner's thread must
     * never wait or fail.
     */
    void release(Part part) {
        orphans.add(part);
        if (busy.compareAndSet(false, true)) {
            try {
                freeOrphans();
            } finally {
                busy.set(false);
            }
        }
    }

    /** Destroys the optimizer with its parts. False if another thread is inside. */
    boolean destroy() {
        if (!busy.compareAndSet(false, true)) {
            return false;
        }
        try {
            if (!destroyed) {
                freeOrphans();
                buffers.forEach(buffer -> buffer.free(pointer));
                buffers.clear();
                destroyed = true;
                lngd.lngd_destroy(pointer);
            }
            return true;
        } finally {
            busy.set(false);
        }
    }

    private void freeOrphans() {
        for (Part part = orphans.poll(); part != null; part = orphans.poll()) {
            if (!destroyed) {
                buffers.remove(part);
                part.free(pointer);
            }
        }
    }
}
