// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Rendezvous;

/** The program of docs/data-parallel.md for PyTorch. */
@SuppressWarnings("try") // scopes that are only opened and closed
class DataParallelPageTest {
    private static final int STEPS = 8;
    private static final int BATCH = 13; // of which two ranks cannot have halves

    @TempDir Path folder;

    // docs/data-parallel.md: begin
    /** What each process runs: all of them the same, but for its rank. */
    static void train(RankNets.Net model, LngdOptions options, Path file, int rank, int size) {
        Duration timeout = Duration.ofMinutes(5); // longer than the slowest share takes
        try (Ranks ranks = Ranks.connect(Rendezvous.file(file), rank, size, timeout);
                LngdTorch lngd = LngdTorch.attach(model, options, ParameterRule.adamW(), ranks)) {
            for (int step = 0; step < STEPS; step++) {
                try (PointerScope scope = new PointerScope()) {
                    int first = rank * BATCH / size;
                    int samples = (rank + 1) * BATCH / size - first;
                    lngd.share(first, samples);
                    if (samples > 0) {
                        Tensor scores = model.forward(images(step, first, samples));
                        lngd.backward(
                                torch.cross_entropy_loss(scores, labels(step, first, samples)));
                    } else {
                        lngd.backwardWithoutSamples();
                    }
                    lngd.step(); // of all ranks together
                    lngd.zeroGrad();
                }
            }
        }
    }

    // docs/data-parallel.md: end

    /** PyTorch's generator is one for all threads. */
    private static synchronized Tensor images(int step, int first, int samples) {
        return Nets.inputs(step, BATCH, 6).narrow(0, first, samples);
    }

    private static Tensor labels(int step, int first, int samples) {
        return Nets.labels(step, BATCH).narrow(0, first, samples);
    }

    private float[] train(RankNets.Net model, String file, int rank, int size) {
        train(model, LngdTorch.recommended(model, STEPS, BATCH), folder.resolve(file), rank, size);
        return Nets.weights(model);
    }

    @Test
    void twoTrainAsOneDoes() throws Exception {
        RankNets.Net[] nets = {new RankNets.Mlp(1), new RankNets.Mlp(2), new RankNets.Mlp(1)};
        float[] one = train(nets[2], "one", 0, 1);
        ExecutorService pool = Executors.newFixedThreadPool(2);
        try {
            var zero = CompletableFuture.supplyAsync(() -> train(nets[0], "two", 0, 2), pool);
            var other = CompletableFuture.supplyAsync(() -> train(nets[1], "two", 1, 2), pool);
            assertThat(other.get()).containsExactly(zero.get());
            for (int i = 0; i < one.length; i++) {
                // Sums of float32 in another order: roundings of 6e-8, amplified by the inverses.
                assertThat(zero.get()[i])
                        .isCloseTo(one[i], org.assertj.core.data.Offset.offset(5e-6f));
            }
        } finally {
            pool.shutdownNow();
        }
    }

    /** The page shows the code of this file. */
    @Test
    void thePageShowsThisProgram() throws IOException {
        String source =
                Files.readString(
                        Path.of("src/test/java/org/lngd4j/pytorch/DataParallelPageTest.java"));
        String shown =
                source.substring(
                        source.indexOf("// docs/data-parallel.md: begin") + 32,
                        source.indexOf("// docs/data-parallel.md: end"));
        String page = Files.readString(Path.of("../../docs/data-parallel.md"));
        assertThat(page).contains("```java\n" + shown.stripIndent().strip() + "\n```");
    }
}
