// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.lang.ref.Cleaner;

/**
 * The backstop for objects that nobody closed: their native memory is given back when the garbage
 * collector finds them, and, with the system property {@code org.lngd4j.leaks=true}, a warning
 * tells where they were made (logger {@code org.lngd4j.leaks}). Without the property the stack is
 * not recorded, since that costs microseconds an object.
 */
final class Leaks {
    static final String PROPERTY = "org.lngd4j.leaks";

    private static final Cleaner CLEANER = Cleaner.create();
    private static final System.Logger LOGGER = System.getLogger(PROPERTY);

    private Leaks() {}

    /** What is left of an object when it is gone. Must not refer to it. */
    static final class Tracker implements Runnable {
        private final String what;
        private final Runnable release;
        private final Throwable origin;
        private volatile boolean closed;

        private Tracker(String what, Runnable release) {
            this.what = what;
            this.release = release;
            this.origin = Boolean.getBoolean(PROPERTY) ? new Throwable("it was made here") : null;
        }

        @Override
        public void run() {
            if (!closed && origin != null) {
                LOGGER.log(System.Logger.Level.WARNING, what + " was never closed", origin);
            }
            release.run();
        }
    }

    /** One object and its clean-up. */
    record Registration(Tracker tracker, Cleaner.Cleanable cleanable) {
        /** Cleans up now, in this thread; only the first call does anything. */
        void close() {
            tracker.closed = true;
            cleanable.clean();
        }
    }

    static Registration register(Object owner, String what, Runnable release) {
        Tracker tracker = new Tracker(what, release);
        return new Registration(tracker, CLEANER.register(owner, tracker));
    }
}
