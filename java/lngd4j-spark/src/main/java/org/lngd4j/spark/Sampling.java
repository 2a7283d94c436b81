// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.util.SplittableRandom;

/**
 * Which samples each rank takes in each step. Data stay on the rank that has them: a batch takes
 * from each rank as large a part as it has of all the data. Every epoch each rank shuffles its own.
 *
 * <p>Of n_r samples of rank r and K steps an epoch, step k of the epoch takes those from floor(n_r
 * k / K) to floor(n_r (k + 1) / K) in the order of that epoch. So every sample is seen once an
 * epoch, whatever the sizes, and batches differ by at most one sample a rank: none is left out, and
 * there is no short last batch.
 *
 * <p>A shuffle over all ranks was rejected: the share of a rank would be a random number, and all
 * would wait for the largest in each step (12 % at 128 samples each on 8 ranks).
 */
final class Sampling {
    private final long[] counts;
    private final long total;
    private final long steps; // of an epoch
    private final long seed;
    private int[] order;
    private int orderRank = -1;
    private long orderEpoch = -1;

    /**
     * The same on all ranks.
     *
     * @param counts samples of each rank, together at least 1
     * @param batch samples of a step, rounded so that all batches of an epoch are of one size
     */
    Sampling(long[] counts, int batch, long seed) {
        long sum = 0;
        for (long count : counts) {
            sum = Math.addExact(sum, count);
        }
        this.counts = counts.clone();
        this.total = sum;
        this.steps = Math.max(1, (sum + batch - 1) / batch);
        this.seed = seed;
    }

    long total() {
        return total;
    }

    long stepsPerEpoch() {
        return steps;
    }

    /** The size of a batch, rounded up. */
    int batch() {
        return Math.toIntExact((total + steps - 1) / steps);
    }

    /** Samples of a rank in a step, counted from the start of the run. */
    int share(int rank, long step) {
        return Math.toIntExact(bound(rank, step % steps + 1) - bound(rank, step % steps));
    }

    /** Where the share of a rank begins in the whole batch: those of lower ranks come before. */
    long first(int rank, long step) {
        long first = 0;
        for (int r = 0; r < rank; r++) {
            first += share(r, step);
        }
        return first;
    }

    /** The samples themselves: their numbers on that rank. */
    int[] indexes(int rank, long step) {
        shuffle(rank, step / steps);
        int from = Math.toIntExact(bound(rank, step % steps));
        int[] indexes = new int[share(rank, step)];
        System.arraycopy(order, from, indexes, 0, indexes.length);
        return indexes;
    }

    /** floor(n_r k / K) without an overflow: n_r = q K + m gives q k + floor(m k / K). */
    private long bound(int rank, long k) {
        long n = counts[rank];
        return n / steps * k + n % steps * k / steps;
    }

    /** Fisher and Yates, from a generator of this seed, epoch and rank alone. */
    private void shuffle(int rank, long epoch) {
        if (rank == orderRank && epoch == orderEpoch) {
            return;
        }
        SplittableRandom random = new SplittableRandom(mix(mix(seed, epoch), rank));
        int n = Math.toIntExact(counts[rank]);
        order = new int[n];
        for (int i = 0; i < n; i++) {
            int j = random.nextInt(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        orderRank = rank;
        orderEpoch = epoch;
    }

    /** The finalizer of splitmix64, so that near seeds give other numbers. */
    static long mix(long a, long b) {
        long z = a * 0x9E3779B97F4A7C15L + b + 0x632BE59BD9B4E019L;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }
}
