// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Ranks as threads of this process: seconds less than processes, and nothing else differs. */
final class RankThreads {
    private static final Duration TIMEOUT = Duration.ofSeconds(20);

    private RankThreads() {}

    /** What a rank does. */
    interface Work<T> {
        T run(Ranks ranks) throws Exception;
    }

    /** What each of two ranks gives. */
    static <T> List<T> run(Rendezvous rendezvous, Work<T> work) throws Exception {
        return run(rendezvous, 2, work);
    }

    /** What each rank gives. */
    static <T> List<T> run(Rendezvous rendezvous, int size, Work<T> work) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(size);
        try {
            List<Future<T>> ends = new ArrayList<>();
            for (int r = 0; r < size; r++) {
                int rank = r;
                ends.add(
                        pool.submit(
                                () -> {
                                    try (Ranks ranks =
                                            Ranks.connect(rendezvous, rank, size, TIMEOUT)) {
                                        return work.run(ranks);
                                    }
                                }));
            }
            List<T> given = new ArrayList<>(); // may be null
            for (Future<T> end : ends) {
                given.add(end.get());
            }
            return given;
        } finally {
            pool.shutdownNow();
        }
    }
}
