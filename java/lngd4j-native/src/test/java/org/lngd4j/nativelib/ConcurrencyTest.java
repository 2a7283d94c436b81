// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.ok;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntSupplier;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;
import org.lngd4j.nativelib.global.lngd_layer_config;
import org.lngd4j.nativelib.global.lngd_optimizer;
import org.lngd4j.nativelib.global.lngd_tensor;

/** Two threads at once: each call is done or refused as busy, and nothing else ever happens. */
class ConcurrencyTest {
    @Test
    void twoThreadsOnOneOptimizerAreServedOrBusy() throws Exception {
        // Large enough for calls to overlap.
        int inputs = 300;
        int samples = 512;
        lngd_config config =
                Abi.config(lngd.LNGD_PRESET_RECIPE).statistics_samples(0).block_size(0);
        lngd_layer_config layer = Abi.layer().inputs(inputs);
        lngd_optimizer o = Abi.optimizer(config, layer);
        FloatPointer a = Abi.random(1, samples * inputs);
        FloatPointer s = Abi.random(2, samples * Abi.OUTPUTS);
        AtomicInteger done = new AtomicInteger();
        AtomicInteger busy = new AtomicInteger();
        race(
                200,
                List.of(
                        () ->
                                count(
                                        lngd.lngd_observe(
                                                o,
                                                0,
                                                Abi.tensor(a, samples, inputs),
                                                Abi.tensor(s, samples, Abi.OUTPUTS),
                                                0),
                                        done,
                                        busy),
                        () ->
                                count(
                                        lngd.lngd_observe_strided(
                                                o, 0, samples, a, inputs, 1, s, Abi.OUTPUTS, 1, 0),
                                        done,
                                        busy)));
        assertThat(done.get()).isPositive();
        assertThat(done.get() + busy.get()).isEqualTo(400);
        assertThat(busy.get()).as("calls that overlapped").isPositive();
        ok(lngd.lngd_destroy(o));
    }

    @Test
    void destroyingUnderACallIsRefusedOrCleanlyDone() throws Exception {
        for (int round = 0; round < 200; round++) {
            Abi.Net net = new Abi.Net().planned();
            lngd_tensor inputs = Abi.inputs();
            lngd_tensor signal = Abi.signal();
            AtomicInteger destroyed = new AtomicInteger();
            race(
                    1,
                    List.of(
                            () -> {
                                for (int i = 0; i < 20; i++) {
                                    int status =
                                            i % 2 == 0
                                                    ? Abi.observe(net.optimizer, inputs, signal)
                                                    : lngd.lngd_step(net.plan, 1, null);
                                    assertThat(status)
                                            .isIn(
                                                    lngd.LNGD_OK,
                                                    lngd.LNGD_BUSY,
                                                    lngd.LNGD_INVALID_HANDLE);
                                }
                                return lngd.LNGD_OK;
                            },
                            () -> {
                                int status = lngd.lngd_destroy(net.optimizer);
                                while (status == lngd.LNGD_BUSY) {
                                    status = lngd.lngd_destroy(net.optimizer);
                                }
                                ok(status);
                                return destroyed.incrementAndGet();
                            }));
            assertThat(destroyed.get()).isEqualTo(1);
        }
    }

    @Test
    void differentOptimizersDoNotMeet() throws Exception {
        Abi.Net first = new Abi.Net().planned();
        Abi.Net second = new Abi.Net().planned();
        List<IntSupplier> work = new ArrayList<>();
        for (Abi.Net net : List.of(first, second)) {
            work.add(
                    () -> {
                        for (int i = 0; i < 100; i++) {
                            net.step(i);
                        }
                        return lngd.LNGD_OK;
                    });
        }
        race(1, work);
        assertThat(first.weights()).isEqualTo(second.weights());
    }

    @Test
    void creationAndDestructionFromManyThreads() throws Exception {
        IntSupplier work =
                () -> {
                    lngd_optimizer o = Abi.optimizer();
                    ok(Abi.observe(o, Abi.inputs(), Abi.signal()));
                    ok(lngd.lngd_destroy(o));
                    return lngd.LNGD_OK;
                };
        race(200, List.of(work, work, work, work));
    }

    private static int count(int status, AtomicInteger done, AtomicInteger busy) {
        assertThat(status).isIn(lngd.LNGD_OK, lngd.LNGD_BUSY);
        return status == lngd.LNGD_OK ? done.incrementAndGet() : busy.incrementAndGet();
    }

    private static void race(int times, List<IntSupplier> work) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(work.size());
        try {
            CountDownLatch start = new CountDownLatch(1);
            List<Future<?>> futures = new ArrayList<>();
            for (IntSupplier one : work) {
                futures.add(
                        threads.submit(
                                () -> {
                                    start.await();
                                    for (int i = 0; i < times; i++) {
                                        one.getAsInt();
                                    }
                                    return null;
                                }));
            }
            start.countDown();
            for (Future<?> future : futures) {
                future.get();
            }
        } finally {
            threads.shutdownNow();
        }
    }
}
