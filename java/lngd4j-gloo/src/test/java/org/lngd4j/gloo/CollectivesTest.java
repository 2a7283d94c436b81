// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.ref.WeakReference;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CyclicBarrier;
import java.util.stream.Stream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.MemoryKind;
import org.lngd4j.SumBuffers;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;

/** Collectives, and what they refuse. */
class CollectivesTest {
    private static final Duration SECOND = Duration.ofSeconds(1);

    @TempDir Path folder;

    private static float[] floats(Tensor tensor) {
        float[] values = new float[Math.toIntExact(tensor.numel())];
        new FloatPointer(tensor.data_ptr()).get(values);
        return values;
    }

    private static String collectives(Ranks ranks) {
        Tensor sum = Tensor.create(new float[] {1 + ranks.rank(), 10});
        ranks.sum(sum);
        assertThat(floats(sum)).containsExactly(3, 20);
        Tensor of = Tensor.create(new float[] {ranks.rank(), 5});
        ranks.broadcast(of, 1);
        assertThat(floats(of)).containsExactly(1, 5);
        assertThat(ranks.gather("r\u00e4nk " + "x".repeat(3 * ranks.rank())))
                .isEqualTo(List.of("r\u00e4nk ", "r\u00e4nk xxx"));
        ranks.agree(Map.of("a", "1"));
        assertThatThrownBy(() -> ranks.agree(Map.of("a", ranks.rank() + "\n\t2")))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageEndingWith("rank 1 has a 1 2, rank 0 0 2");
        return ranks.toString();
    }

    @Test
    void workThroughAFile() throws Exception {
        Rendezvous file = Rendezvous.file(folder.resolve("store"));
        assertThat(RankThreads.run(file, CollectivesTest::collectives))
                .containsExactly("Ranks[rank 0 of 2]", "Ranks[rank 1 of 2]");
    }

    @Test
    void workThroughAServer() throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        RankThreads.run(Rendezvous.tcp("127.0.0.1", port), CollectivesTest::collectives);
    }

    /** An all-gather among threads. */
    private static TextGather among(int size) {
        CyclicBarrier barrier = new CyclicBarrier(size);
        Map<Long, String> texts = new ConcurrentSkipListMap<>();
        return text -> {
            try {
                texts.put(Thread.currentThread().getId(), text); // ranks start in this order
                barrier.await();
                List<String> all = List.copyOf(texts.values());
                barrier.await();
                return all;
            } catch (InterruptedException | BrokenBarrierException e) {
                throw new IllegalStateException(e);
            }
        };
    }

    @Test
    void workThroughAnAllGatherThatIsThereAlready() throws Exception {
        List<String> before = temporaryFiles();
        Rendezvous rendezvous = Rendezvous.gathered(among(2));
        assertThat(RankThreads.run(rendezvous, CollectivesTest::collectives))
                .containsExactly("Ranks[rank 0 of 2]", "Ranks[rank 1 of 2]");
        assertThat(before).containsAll(temporaryFiles());
    }

    private static List<String> temporaryFiles() throws IOException {
        try (Stream<Path> files = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            return files.map(f -> f.getFileName().toString())
                    .filter(f -> f.startsWith("lngd-ranks-"))
                    .toList();
        }
    }

    /** As with Spark, whose barrier throws where the stage is given up. */
    @Test
    void anAllGatherThatFailsEndsTheConnecting() throws Exception {
        List<String> before = temporaryFiles();
        Rendezvous broken =
                Rendezvous.gathered(
                        text -> {
                            throw new IllegalStateException("the stage was given up");
                        });
        assertThatThrownBy(() -> Ranks.connect(broken, 0, 2, SECOND))
                .isInstanceOf(RanksException.class)
                .hasMessage(
                        "rank 0 of 2 could not connect at an all-gather within PT1S:"
                                + " the stage was given up");
        assertThat(before).containsAll(temporaryFiles());
        // Gloo's own thread gives up after its timeout, and frees what it has.
        for (int i = 0; i < 50 && connecting(); i++) {
            Thread.sleep(100);
        }
        assertThat(connecting()).isFalse();
        assertThat(before).containsAll(temporaryFiles());
    }

    private static boolean connecting() {
        return Thread.getAllStackTraces().keySet().stream()
                .anyMatch(t -> t.getName().startsWith("gloo-connect-"));
    }

    /** An exception without a message is one too. */
    @Test
    void aRefusalOfOneIsOneOfAll() throws Exception {
        List<String> told =
                RankThreads.run(
                        Rendezvous.file(folder.resolve("store")),
                        ranks -> {
                            try {
                                Refusal.together(
                                        ranks,
                                        () -> {
                                            if (ranks.rank() == 1) {
                                                throw new IllegalStateException("");
                                            }
                                        });
                                return "went on";
                            } catch (IllegalStateException | LngdArgumentException e) {
                                return e.getClass().getSimpleName() + " " + e.getMessage();
                            }
                        });
        assertThat(told)
                .containsExactly(
                        "LngdArgumentException rank 1 says: java.lang.IllegalStateException: ",
                        "IllegalStateException ");
    }

    @Test
    void countWhatTheyCost() throws Exception {
        Rendezvous file = Rendezvous.file(folder.resolve("store"));
        List<CollectiveTimes> times =
                RankThreads.run(
                        file,
                        ranks -> {
                            CollectiveTimes before = ranks.times();
                            assertThat(before.calls()).isZero();
                            ranks.sum(Tensor.create(new float[100]));
                            return ranks.times();
                        });
        assertThat(times).extracting(CollectiveTimes::calls).containsExactly(1L, 1L);
        assertThat(times).extracting(CollectiveTimes::bytes).containsExactly(400L, 400L);
        assertThat(times).extracting(CollectiveTimes::nanos).allMatch(n -> n > 1000);
    }

    @Test
    void aRankThatGivesUpIsKnownAtOnce() throws Exception {
        long start = System.nanoTime();
        List<String> messages =
                RankThreads.run(
                        Rendezvous.file(folder.resolve("store")),
                        ranks -> {
                            ranks.gather("connected"); // on both sides
                            if (ranks.rank() == 1) {
                                ranks.abandon("of a test");
                            }
                            try {
                                ranks.gather("");
                                return "";
                            } catch (RanksException | LngdStateException e) {
                                return e.getMessage();
                            }
                        });
        assertThat(messages.get(0)).startsWith("rank 0 of 2: the all-reduce of 2 numbers failed");
        assertThat(messages.get(1))
                .startsWith("rank 1 of 2 is of no use any more, since of a test");
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(10));
    }

    /** It would free store and group in any order, and one of the two damages the heap. */
    @Test
    void theGarbageCollectorLeavesOpenRanksAlone() throws Exception {
        Rendezvous file = Rendezvous.file(folder.resolve("store"));
        WeakReference<Ranks> left = new WeakReference<>(Ranks.connect(file, 0, 1, SECOND));
        for (int i = 0; i < 5; i++) {
            System.gc();
            Thread.sleep(10); // references are cleared in a thread of its own
        }
        Ranks ranks = left.get();
        assertThat(ranks).isNotNull();
        ranks.close();
        ranks = null;
        for (int i = 0; i < 50 && left.get() != null; i++) {
            System.gc();
            Thread.sleep(10);
        }
        assertThat(left.get()).isNull();
    }

    @Test
    void aRankThatComesAloneGivesUp() {
        Rendezvous file = Rendezvous.file(folder.resolve("store"));
        assertThatThrownBy(() -> Ranks.connect(file, 1, 2, SECOND))
                .isInstanceOf(RanksException.class)
                .hasMessageStartingWith("rank 1 of 2 could not connect at " + folder)
                .hasMessageContaining("within PT1S");
    }

    @ParameterizedTest
    @ValueSource(strings = {"0.0.0.0", "::", "192.0.2.1", "", "no such host"})
    void listensOnOneAddressOfThisMachineOnly(String bind) {
        Rendezvous file = Rendezvous.file(folder.resolve("store"));
        assertThatThrownBy(() -> Ranks.connect(file, 0, 1, SECOND, bind))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageStartingWith("bind is " + (bind.isEmpty() ? "blank" : bind));
    }

    @Test
    void refusesWhatItCannotWorkOn() {
        Rendezvous file = Rendezvous.file(folder.resolve("store"));
        refused(() -> Ranks.connect(file, 2, 2, SECOND), "rank is 2, allowed is 0 to 1");
        refused(() -> Ranks.connect(file, 0, 0, SECOND), "size is 0, allowed is 1 or more");
        refused(() -> Ranks.connect(file, 0, 1, Duration.ZERO), "timeout is PT0S");
        refused(() -> Ranks.connect(null, 0, 1, SECOND), "rendezvous is null");
        refused(() -> Rendezvous.file(folder.resolve("no/file")), "path is " + folder);
        refused(() -> Rendezvous.tcp(" ", 1), "host is  ");
        refused(() -> Rendezvous.tcp("localhost", 65536), "port is 65536, allowed is 1 to 65535");
        // A world of one, and an interface by its name.
        Ranks one = Ranks.connect(file, 0, 1, SECOND, "lo");
        assertThat(one.gather("alone")).containsExactly("alone");
        refused(() -> one.broadcast(Tensor.create(1f), 1), "root is 1, allowed is 0 to 0");
        refused(() -> one.sum((Tensor) null), "tensor is null");
        refused(() -> one.sum(torch.randn(3, 2).t()), "tensor is not contiguous and on cpu");
        refused(
                () -> one.sum(new SumBuffers(MemoryKind.CUDA, 0, 1, 1, 1, 1)),
                "sums are in memory");
        assertThat(one.gather("still")).containsExactly("still");
        one.close();
        one.close();
        assertThatThrownBy(() -> one.gather("")).isInstanceOf(LngdHandleException.class);
    }

    private static void refused(
            org.assertj.core.api.ThrowableAssert.ThrowingCallable what, String message) {
        assertThatThrownBy(what)
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageStartingWith(message);
    }
}
