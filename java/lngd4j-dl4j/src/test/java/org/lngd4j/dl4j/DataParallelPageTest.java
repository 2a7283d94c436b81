// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.assertj.core.data.Offset;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
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

    @ParameterizedTest
    @ValueSource(ints = {2, 3})
    void severalTrainAsOneDoes(int size) throws Exception {
        MultiLayerNetwork alone = Nets.mlp();
        float[] one = train(alone, "one", 0, 1);
        ExecutorService pool = Executors.newFixedThreadPool(size);
        try {
            List<Future<float[]>> ends = new ArrayList<>();
            for (int r = 0; r < size; r++) {
                int rank = r;
                MultiLayerNetwork net = Nets.mlp();
                net.params().muli(1 + rank); // those of rank 0 count
                ends.add(pool.submit(() -> train(net, "several", rank, size)));
            }
            for (Future<float[]> end : ends) {
                assertThat(end.get()).containsExactly(ends.get(0).get());
            }
            // Sums of float32 in another order: roundings of 6e-8, amplified by the inverses.
            assertThat(ends.get(0).get()).containsExactly(one, Offset.offset(5e-6f));
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
