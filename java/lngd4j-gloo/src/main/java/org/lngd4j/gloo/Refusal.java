// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.util.List;
import org.lngd4j.nativelib.LngdArgumentException;

/** What one rank alone cannot do, none does: no rank waits for another in vain. */
public final class Refusal {
    private Refusal() {}

    /**
     * Does something on each rank, and throws on all where one of them fails in it. A collective.
     *
     * @param ranks the processes
     * @param work of this rank, without collectives
     * @throws LngdArgumentException where another rank has failed: its message; here the failure
     *     itself
     * @throws RanksException if the ranks cannot tell each other
     */
    public static void together(Ranks ranks, Runnable work) {
        RuntimeException refused = null;
        try {
            work.run();
        } catch (RuntimeException e) {
            refused = e;
        }
        List<String> all;
        try {
            all = ranks.gather(refused == null ? "" : text(refused));
        } catch (RuntimeException e) {
            if (refused == null) {
                throw e;
            }
            refused.addSuppressed(e);
            throw refused;
        }
        if (refused != null) {
            throw refused;
        }
        for (int rank = 0; rank < all.size(); rank++) {
            if (!all.get(rank).isEmpty()) {
                throw new LngdArgumentException("rank " + rank + " says: " + all.get(rank));
            }
        }
    }

    /** Never empty, which would stand for none. */
    private static String text(RuntimeException refused) {
        String message = refused.getMessage();
        return message == null || message.isEmpty() ? refused.toString() : message;
    }
}
