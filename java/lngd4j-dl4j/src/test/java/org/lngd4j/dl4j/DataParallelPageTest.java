// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.assertj.core.data.Offset;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.LngdOptions;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Rendezvous;
import org.nd4j.linalg.dataset.DataSet;

/** The program of docs/data-parallel.md for Deeplearning4j. */
class DataParallelPageTest {
    private static final int STEPS = 8;
    private static final int BATCH = 13; // of which two ranks cannot have halves

    @TempDir Path folder;

    // docs/data-parallel.md: begin
    /** What each process runs: all of them the same, but for its rank. */
    static void train(MultiLayerNetwork net, LngdOptions options, Path file, int rank, int size) {
        Duration timeout = Duration.ofMinutes(5); // longer than the slowest share takes
        try (Ranks ranks = Ranks.connect(Rendezvous.file(file), rank, size, timeout);
                DataParallel parallel = DataParallel.attach(net, options, ranks)) {
            for (int step = 0; step < STEPS; step++) {
                int first = rank * BATCH / size;
                int samples = (rank + 1) * BATCH / size - first;
                if (samples > 0) {
                    parallel.share(first, samples);
                    net.fit(share(step, first, samples)); // a step of all ranks together
                } else {
                    parallel.stepWithoutSamples();
                }
            }
        }
    }

    // docs/data-parallel.md: end

    private static DataSet share(int step, int first, int samples) {
        return RankNets.share(Nets.data(BATCH, step, 1), first, samples);
    }

    private float[] train(MultiLayerNetwork net, String file, int rank, int size) {
        train(net, Lngd.recommended(net, STEPS, BATCH), folder.resolve(file), rank, size);
        return RankNets.weights(net);
    }

    @Test
    void twoTrainAsOneDoes() throws Exception {
        MultiLayerNetwork[] nets = {Nets.mlp(), Nets.mlp(), Nets.mlp()};
        nets[1].params().muli(2); // those of rank 0 count
        float[] one = train(nets[2], "one", 0, 1);
        ExecutorService pool = Executors.newFixedThreadPool(2);
        try {
            var zero = CompletableFuture.supplyAsync(() -> train(nets[0], "two", 0, 2), pool);
            var other = CompletableFuture.supplyAsync(() -> train(nets[1], "two", 1, 2), pool);
            assertThat(other.get()).containsExactly(zero.get());
            // Sums of float32 in another order: roundings of 6e-8, amplified by the inverses.
            assertThat(zero.get()).containsExactly(one, Offset.offset(5e-6f));
        } finally {
            pool.shutdownNow();
        }
    }

    /** The page shows the code of this file. */
    @Test
    void thePageShowsThisProgram() throws IOException {
        String source =
                Files.readString(
                        Path.of("src/test/java/org/lngd4j/dl4j/DataParallelPageTest.java"));
        String shown =
                source.substring(
                        source.indexOf("// docs/data-parallel.md: begin") + 32,
                        source.indexOf("// docs/data-parallel.md: end"));
        String page = Files.readString(Path.of("../../docs/data-parallel.md"));
        assertThat(page).contains("```java\n" + shown.stripIndent().strip() + "\n```");
    }
}
