// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.pytorch.RankProgram.Run;

/** Two processes, connected by Gloo, train as one does. */
@Tag("slow")
class RanksTest {
    private static final int RANKS = 2;

    @TempDir static Path folder;

    @BeforeAll
    static void run() throws Exception {
        List<Process> processes = new ArrayList<>();
        for (int rank = 0; rank < RANKS; rank++) {
            processes.add(start(rank));
        }
        try {
            for (int rank = 0; rank < RANKS; rank++) {
                Process process = processes.get(rank);
                assertThat(process.waitFor(120, TimeUnit.SECONDS)).as(log(rank)).isTrue();
                // Rank 1 ends in the middle of a step, by halt(9).
                assertThat(process.exitValue()).as(log(rank)).isEqualTo(rank == 1 ? 9 : 0);
            }
        } finally {
            processes.forEach(Process::destroyForcibly);
        }
    }

    private static Process start(int rank) throws IOException {
        String classPath =
                System.getProperty(
                        "surefire.test.class.path", System.getProperty("java.class.path"));
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx512m",
                        "-XX:TieredStopAtLevel=1", // seconds of compiling, on two cores
                        "-cp",
                        classPath,
                        RankProgram.class.getName(),
                        folder.toString(),
                        Integer.toString(rank),
                        Integer.toString(RANKS))
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("log." + rank).toFile())
                .start();
    }

    private static String log(int rank) throws IOException {
        return Files.readString(folder.resolve("log." + rank));
    }

    private static String text(String name, int rank) throws IOException {
        return Files.readString(folder.resolve(name + "." + rank + ".txt"));
    }

    private static float[] weights(String name, int rank) throws IOException {
        ByteBuffer bytes =
                ByteBuffer.wrap(Files.readAllBytes(folder.resolve(name + "." + rank + ".weights")));
        float[] weights = new float[bytes.remaining() / Float.BYTES];
        bytes.asFloatBuffer().get(weights);
        return weights;
    }

    /**
     * What differs is the order of sums in float32: of gradients over the samples, and of the
     * statistics, whose inverses amplify it. 6e-8 a rounding; 1e-5 is what is promised.
     */
    @ParameterizedTest
    @EnumSource(Run.class)
    void weightsAreThoseOfOneProcess(Run run) throws IOException {
        RankNets.Net net = run.net(1);
        float[] start = Nets.weights(net);
        List<Long> skipped = new ArrayList<>();
        RankProgram.train(net, run.options(), null, null, false, run == Run.MLP_NAN, skipped);
        float[] one = Nets.weights(net);
        for (String name : List.of(run.name(), "BACKWARD_" + run)) {
            float[] two = weights(name, 0);
            double difference = norm(two, one) / norm(one, new float[one.length]);
            assertThat(difference).as(name).isLessThan(1e-5);
            assertThat(text(name, 0)).isEqualTo(skipped.toString());
        }
    }

    @ParameterizedTest
    @EnumSource(Run.class)
    void allRanksHaveTheSameBits(Run run) throws IOException {
        assertThat(weights(run.name(), 1)).containsExactly(weights(run.name(), 0));
        assertThat(weights("BACKWARD_" + run, 1)).containsExactly(weights("BACKWARD_" + run, 0));
    }

    /** Each rank inverts its own layers, and has the bits of ranks that invert all. */
    @ParameterizedTest
    @EnumSource(Run.class)
    void inversesOfOneRankAreThoseOfAll(Run run) throws IOException {
        for (int rank = 0; rank < RANKS; rank++) {
            assertThat(weights("OWNED_" + run, rank)).containsExactly(weights(run.name(), 0));
            assertThat(text("OWNED_" + run, rank)).isEqualTo(text(run.name(), 0));
            String where = text("OWNED_" + run + "_WHERE", rank);
            assertThat(where).startsWith("OWNED [10, 10").contains("inverses OWNED, as asked for");
            assertThat(text(run + "_WHERE", rank)).startsWith("REPLICATED [10, 10");
        }
    }

    /** Its figures are the same on all ranks. */
    @Test
    void autoDecidesAlike() throws IOException {
        assertThat(text("AGAIN_WHERE", 1)).isEqualTo(text("AGAIN_WHERE", 0));
        assertThat(text("AGAIN_WHERE", 0)).containsPattern("by AUTO: .* s REPLICATED, .* s OWNED");
    }

    @Test
    void aRunHasTheBitsOfTheOneBefore() throws IOException {
        assertThat(weights("AGAIN", 0)).containsExactly(weights("MLP_RECIPE", 0));
        assertThat(weights("AGAIN_SAMPLED", 0)).containsExactly(weights("MLP_SAMPLED", 0));
        assertThat(weights("AGAIN_SAMPLED", 0)).isNotEqualTo(weights("AGAIN", 0));
    }

    /** A NaN of rank 1 alone. */
    @Test
    void allRanksKeepABatchWithNaNOut() throws IOException {
        for (int rank = 0; rank < RANKS; rank++) {
            assertThat(text("MLP_NAN", rank)).isEqualTo("[3, 3]"); // steps 6, 16 and 26
            for (float w : weights("MLP_NAN", rank)) {
                assertThat(w).isFinite();
            }
        }
    }

    @Test
    void differencesAreRefusedByName() throws IOException {
        for (int rank = 0; rank < RANKS; rank++) {
            assertThat(text("OPTIONS", rank))
                    .isEqualTo(
                            "LngdArgumentException: the ranks differ, allowed is the same on all of"
                                    + " them: rank 1 has options.statisticsInterval 5, rank 0 3");
            assertThat(text("MODEL", rank))
                    .startsWith("LngdArgumentException: the ranks differ")
                    .contains(
                            "rank 1 has parameter first.weight absent, rank 0 Float of shape [9, 6]");
        }
    }

    @Test
    void whatOneRankRefusesStopsAllAndTheyGoOn() throws IOException {
        assertThat(text("NO_SHARE", 1)).contains("call share(first, samples) before");
        assertThat(text("NO_SHARE", 0)).contains("LngdStateException: rank 1 has refused the step");
        for (int rank = 0; rank < RANKS; rank++) {
            assertThat(text("EPOCH", rank))
                    .isEqualTo(
                            "LngdStateException: rank 1 has the epoch 1, rank 0 0; allowed is the same"
                                    + " on all ranks");
            assertThat(text("OVERLAP", rank)).contains("shares that do not overlap");
            assertThat(text("REFUSED", rank)).isEqualTo("kept");
            assertThat(text("GOES_ON", rank)).isEqualTo("moved");
        }
    }

    @Test
    void aRankThatHangsIsAnExceptionWithinTheTimeout() throws IOException {
        assertThat(text("HUNG", 0))
                .startsWith("RanksException: rank 0 of 2: the all-reduce of")
                .contains("Timed out waiting");
        // Two seconds, and a busy machine.
        assertThat(Long.parseLong(text("HUNG_MS", 0)))
                .isBetween(RankProgram.SHORT.toMillis() - 100, 3 * RankProgram.SHORT.toMillis());
        assertThat(text("HUNG", 1)).startsWith("RanksException: rank 1 of 2: the all-reduce of");
        for (int rank = 0; rank < RANKS; rank++) {
            for (String name : List.of("HUNG", "BACKWARD_HUNG")) {
                assertThat(text(name + "_UNUSABLE", rank))
                        .startsWith(
                                "LngdStateException: rank " + rank + " of 2 is of no use any more");
            }
        }
    }

    @Test
    void aRankThatDiesIsAnExceptionLongBeforeTheTimeout() throws IOException {
        assertThat(text("KILLED", 0))
                .startsWith("RanksException: rank 0 of 2: the all-reduce of")
                .contains("Connection closed by peer");
        assertThat(Long.parseLong(text("KILLED_MS", 0))).isLessThan(10_000); // of 30 s
    }

    /** The kernel writes 127.0.0.1 so. */
    @Test
    void nothingListensButOnTheLoopbackInterface() throws IOException {
        assertThat(text("LISTENING", 0).split(",")).isNotEmpty().containsOnly("0100007F");
    }

    private static double norm(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
        }
        return Math.sqrt(sum);
    }
}
