// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which samples a rank takes in a step. */
class SamplingTest {
    @ParameterizedTest
    @CsvSource({"100, 100, 100, 10", "7, 0, 31, 8", "1, 2, 3, 100", "1, 0, 0, 1", "97, 3, 55, 1"})
    void everySampleIsSeenOnceAnEpochInBatchesOfOneSize(int a, int b, int c, int batch) {
        long[] counts = {a, b, c};
        Sampling sampling = new Sampling(counts, batch, 5);
        int total = a + b + c;
        assertThat(sampling.stepsPerEpoch()).isEqualTo((total + batch - 1) / batch);
        assertThat(sampling.total()).isEqualTo(total);
        assertThat(sampling.batch()).isBetween(1, batch);
        for (int epoch = 0; epoch < 2; epoch++) {
            for (int rank = 0; rank < counts.length; rank++) {
                int[] seen = new int[(int) counts[rank]];
                for (long k = 0; k < sampling.stepsPerEpoch(); k++) {
                    long step = epoch * sampling.stepsPerEpoch() + k;
                    int[] indexes = sampling.indexes(rank, step);
                    assertThat(indexes).hasSize(sampling.share(rank, step));
                    for (int i : indexes) {
                        seen[i]++;
                    }
                    double even = (double) counts[rank] / sampling.stepsPerEpoch();
                    assertThat((double) indexes.length).isBetween(even - 1, even + 1);
                }
                assertThat(Arrays.stream(seen)).allMatch(n -> n == 1);
            }
        }
    }

    @Test
    void sharesOfABatchFollowEachOther() {
        Sampling sampling = new Sampling(new long[] {10, 11, 12}, 6, 5);
        for (long step = 0; step < 12; step++) {
            assertThat(sampling.first(0, step)).isZero();
            assertThat(sampling.first(1, step)).isEqualTo(sampling.share(0, step));
            assertThat(sampling.first(2, step))
                    .isEqualTo(sampling.share(0, step) + sampling.share(1, step));
        }
    }

    @Test
    void theOrderDependsOnSeedEpochAndRank() {
        long[] counts = {200, 200};
        int[] order = epoch(new Sampling(counts, 40, 1), 0, 0);
        assertThat(epoch(new Sampling(counts, 40, 1), 0, 0)).containsExactly(order);
        assertThat(epoch(new Sampling(counts, 40, 2), 0, 0)).isNotEqualTo(order);
        assertThat(epoch(new Sampling(counts, 40, 1), 1, 0)).isNotEqualTo(order);
        assertThat(epoch(new Sampling(counts, 40, 1), 0, 1)).isNotEqualTo(order);
        assertThat(order).isNotEqualTo(IntStream.range(0, 200).toArray());
        // Another batch size cuts the same order.
        assertThat(epoch(new Sampling(counts, 16, 1), 0, 0)).containsExactly(order);
    }

    private static int[] epoch(Sampling sampling, int rank, int epoch) {
        int[] order = new int[0];
        for (long k = 0; k < sampling.stepsPerEpoch(); k++) {
            int[] more = sampling.indexes(rank, epoch * sampling.stepsPerEpoch() + k);
            order = Arrays.copyOf(order, order.length + more.length);
            System.arraycopy(more, 0, order, order.length - more.length, more.length);
        }
        return order;
    }

    /** In one order of three, each is first as often: 5 standard deviations of 1/3 in 3000. */
    @Test
    void allOrdersAreAsLikely() {
        int[] first = new int[3];
        for (int seed = 0; seed < 3000; seed++) {
            first[new Sampling(new long[] {3}, 1, seed).indexes(0, 0)[0]]++;
        }
        assertThat(Arrays.stream(first)).allMatch(n -> Math.abs(n - 1000) < 130);
    }

    /** Products of counts and steps do not overflow. */
    @Test
    void countsOfTerabytesWork() {
        Sampling sampling = new Sampling(new long[] {1L << 40, 1L << 40}, 1 << 20, 1);
        long last = sampling.stepsPerEpoch() - 1;
        assertThat(sampling.stepsPerEpoch()).isEqualTo(1L << 21);
        assertThat(sampling.share(1, last)).isEqualTo(1 << 19);
        assertThat(sampling.batch()).isEqualTo(1 << 20);
    }
}
