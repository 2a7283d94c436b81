// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.spark;

import org.apache.spark.api.java.JavaSparkContext;

/**
 * While it is open, Ctrl-C silences Spark before it takes its executors down: on one machine they
 * get the signal too, and Spark would report for pages that it cannot start new ones.
 */
final class QuietEnd implements AutoCloseable {
    private final Thread hook;

    QuietEnd(JavaSparkContext context) {
        hook = new Thread(() -> context.setLogLevel("OFF"), "lngd-quiet-end");
        Runtime.getRuntime().addShutdownHook(hook);
    }

    /** Whether the process is ending. */
    static boolean isNow() {
        Thread probe = new Thread(() -> {});
        try {
            Runtime.getRuntime().addShutdownHook(probe);
            Runtime.getRuntime().removeShutdownHook(probe);
            return false;
        } catch (IllegalStateException e) {
            return true;
        }
    }

    @Override
    public void close() {
        if (!isNow()) {
            Runtime.getRuntime().removeShutdownHook(hook);
        }
    }
}
