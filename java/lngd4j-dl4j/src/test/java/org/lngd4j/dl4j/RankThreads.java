// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Rendezvous;

/** Two ranks as threads of this process: seconds less than processes, and nothing else differs. */
final class RankThreads {
    private static final Duration TIMEOUT = Duration.ofSeconds(20);

    private RankThreads() {}

    /** What a rank does. */
    interface Work<T> {
        T run(Ranks ranks) throws Exception;
    }

    /** What each rank gives. */
    static <T> List<T> run(Rendezvous rendezvous, Work<T> work) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(2);
        try {
            List<Future<T>> ends = new ArrayList<>();
            for (int r = 0; r < 2; r++) {
                int rank = r;
                ends.add(
                        pool.submit(
                                () -> {
                                    try (Ranks ranks =
                                            Ranks.connect(rendezvous, rank, 2, TIMEOUT)) {
                                        return work.run(ranks);
                                    }
                                }));
            }
            return Arrays.asList(ends.get(0).get(), ends.get(1).get()); // may be null
        } finally {
            pool.shutdownNow();
        }
    }
}
