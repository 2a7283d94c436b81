// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import org.lngd4j.nativelib.LngdBusyException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_optimizer;
import org.lngd4j.nativelib.global.lngd_plan;

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
    private final ConcurrentLinkedQueue<lngd_plan> orphans = new ConcurrentLinkedQueue<>();
    private boolean destroyed;

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
            destroyOrphans();
        }
        return pointer;
    }

    void exit() {
        busy.set(false);
    }

    /**
     * Destroys a plan now if the door is open, else with the next call: the cleaner's thread must
     * never wait or fail.
     */
    void release(lngd_plan plan) {
        orphans.add(plan);
        if (busy.compareAndSet(false, true)) {
            try {
                destroyOrphans();
            } finally {
                busy.set(false);
            }
        }
    }

    /** Destroys the optimizer and its plans. False if another thread is inside. */
    boolean destroy() {
        if (!busy.compareAndSet(false, true)) {
            return false;
        }
        try {
            if (!destroyed) {
                destroyed = true;
                orphans.clear();
                lngd.lngd_destroy(pointer);
            }
            return true;
        } finally {
            busy.set(false);
        }
    }

    private void destroyOrphans() {
        for (lngd_plan plan = orphans.poll(); plan != null; plan = orphans.poll()) {
            if (!destroyed) {
                lngd.lngd_plan_destroy(plan);
            }
        }
    }
}
