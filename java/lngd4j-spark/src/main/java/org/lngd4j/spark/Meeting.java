// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.BarrierTaskContext;
import org.lngd4j.gloo.Ranks;

/**
 * What ranks tell each other before the training. Before they are connected it goes by the
 * all-gather of Spark's barrier stage: over Spark's own connections, with its authentication and
 * encryption. Spark looks for its answer once a second, so there are few of these.
 */
final class Meeting {
    private static final String FINE = "+";
    private static final String REFUSED = "-";

    private final BarrierTaskContext context;

    Meeting(BarrierTaskContext context) {
        this.context = context;
    }

    /** What a rank has to tell, or an exception where it cannot go on. */
    interface Word {
        String get();
    }

    /**
     * All ranks call it. Where one of them cannot go on, none can.
     *
     * @return what each tells
     * @throws RefusedException on all ranks, with what those that cannot go on have told
     */
    List<String> tell(Word word) {
        String own;
        RuntimeException refused = null;
        try {
            own = FINE + word.get();
        } catch (RuntimeException e) {
            own = REFUSED + text(e);
            refused = e;
        }
        List<String> all = gather(own);
        check(all, refused);
        return all.stream().map(text -> text.substring(1)).toList();
    }

    /**
     * The same for work that may fail on one rank, where all are connected already.
     *
     * @throws RefusedException on all ranks, where one of them could not do it
     */
    void together(Ranks ranks, Runnable work) {
        RuntimeException refused = null;
        try {
            work.run();
        } catch (RuntimeException e) {
            refused = e;
        }
        check(ranks.gather(refused == null ? FINE : REFUSED + text(refused)), refused);
    }

    private void check(List<String> all, RuntimeException refused) {
        List<String> wrong = new ArrayList<>();
        for (int r = 0; r < all.size(); r++) {
            if (all.get(r).startsWith(REFUSED)) {
                wrong.add(name(r) + ": " + all.get(r).substring(1));
            }
        }
        if (!wrong.isEmpty()) {
            throw new RefusedException(String.join("; ", wrong), refused);
        }
    }

    private static String text(RuntimeException e) {
        return e.getMessage() == null ? e.toString() : e.getMessage();
    }

    /** The all-gather that Gloo's addresses travel by. */
    List<String> gather(String text) {
        return Arrays.asList(context.allGather(text));
    }

    /** A rank, and where it runs. */
    String name(int rank) {
        return "rank " + rank + " on " + address(rank);
    }

    String address(int rank) {
        return context.getTaskInfos()[rank].address();
    }
}
