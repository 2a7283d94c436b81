// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What the process's standard streams are. */
public final class Terminal {
    private static final int USUAL_COLUMNS = 80;

    private Terminal() {}

    /** Characters of a line that a bar may fill: what the start script has asked the terminal. */
    public static int columns() {
        int columns = Integer.getInteger("org.lngd4j.columns", USUAL_COLUMNS);
        return Math.max(20, columns - 1); // a full line would go on to the next on some
    }

    /** Whether standard error is a terminal that can move its cursor. */
    public static boolean errorIsInteractive() {
        String kind = System.getenv("TERM");
        if (kind == null || kind.isEmpty() || kind.equals("dumb")) {
            return false;
        }
        // System.console() speaks of the standard input and output only, and differs between JDKs.
        try {
            String target = Files.readSymbolicLink(Path.of("/proc/self/fd/2")).toString();
            return target.startsWith("/dev/pts/")
                    || target.startsWith("/dev/tty")
                    || target.equals("/dev/console");
        } catch (IOException | UnsupportedOperationException e) {
            return false;
        }
    }
}
