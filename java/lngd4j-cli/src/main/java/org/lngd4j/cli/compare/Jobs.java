// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * So many tasks at a time; their results in the order of the tasks, whatever the order they end in.
 */
final class Jobs {
    private Jobs() {}

    /**
     * Runs all tasks. One that fails or gives nothing (it was stopped) keeps those that have not
     * begun from beginning and interrupts the others.
     *
     * @param atATime at least 1
     * @return every result, or empty where a task gave none
     * @throws RuntimeException what the first task to fail has thrown
     */
    static <T> Optional<List<T>> run(int atATime, List<Callable<Optional<T>>> tasks) {
        ExecutorService workers = Executors.newFixedThreadPool(atATime);
        try {
            var ended = new ExecutorCompletionService<Optional<T>>(workers);
            List<Future<Optional<T>>> futures = new ArrayList<>();
            tasks.forEach(task -> futures.add(ended.submit(task)));
            for (int count = 0; count < tasks.size(); count++) {
                if (ended.take().get().isEmpty()) {
                    return Optional.empty();
                }
            }
            List<T> results = new ArrayList<>();
            for (Future<Optional<T>> future : futures) {
                results.add(future.get().orElseThrow());
            }
            return Optional.of(results);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException failure) {
                throw failure;
            }
            throw new IllegalStateException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Optional.empty();
        } finally {
            workers.shutdownNow();
            awaitEnd(workers);
        }
    }

    // An interrupted run writes its checkpoint first.
    private static void awaitEnd(ExecutorService workers) {
        try {
            workers.awaitTermination(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
