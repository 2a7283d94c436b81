// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class JobsTest {
    @Test
    void resultsComeInTheOrderOfTheTasksWhateverEndsFirst() {
        CountDownLatch second = new CountDownLatch(1);
        List<Callable<Optional<Integer>>> tasks =
                List.of(
                        () -> {
                            second.await();
                            return Optional.of(1);
                        },
                        () -> {
                            second.countDown();
                            return Optional.of(2);
                        });
        assertThat(Jobs.run(2, tasks)).contains(List.of(1, 2));
    }

    @Test
    void soManyRunAtATimeAndNoMore() {
        AtomicInteger going = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        CyclicBarrier both = new CyclicBarrier(2);
        List<Callable<Optional<Integer>>> tasks = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            tasks.add(
                    () -> {
                        most.accumulateAndGet(going.incrementAndGet(), Math::max);
                        both.await(); // never opens where there is only one
                        going.decrementAndGet();
                        return Optional.of(0);
                    });
        }
        assertThat(Jobs.run(2, tasks)).isPresent();
        assertThat(most).hasValue(2);
    }

    @Test
    void oneThatStopsOrFailsEndsTheOthers() {
        CountDownLatch begun = new CountDownLatch(1);
        AtomicInteger interrupted = new AtomicInteger();
        AtomicInteger later = new AtomicInteger();
        Callable<Optional<Integer>> sleeping =
                () -> {
                    begun.countDown();
                    try {
                        TimeUnit.MINUTES.sleep(5);
                    } catch (InterruptedException e) {
                        interrupted.incrementAndGet();
                    }
                    return Optional.empty();
                };
        Callable<Optional<Integer>> stopped =
                () -> {
                    begun.await();
                    return Optional.empty();
                };
        Callable<Optional<Integer>> failing =
                () -> {
                    begun.await();
                    throw new IllegalArgumentException("no such file");
                };
        assertThat(Jobs.run(2, List.of(sleeping, stopped))).isEmpty();
        assertThat(interrupted).hasValue(1);
        assertThatThrownBy(() -> Jobs.run(2, List.of(sleeping, failing)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("no such file");
        assertThat(interrupted).hasValue(2);
        Callable<Optional<Integer>> counted = () -> Optional.of(later.incrementAndGet());
        assertThat(Jobs.run(1, List.of(stopped, counted))).isEmpty();
        assertThat(later).as("a task behind a stopped one").hasValueLessThan(2);
    }
}
