// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.util.SplittableRandom;

/**
 * The order of the samples in each epoch: a shuffle that depends on the seed and the epoch alone,
 * so that there is no state to save. Not thread-safe.
 */
public final class SampleOrder {
    private static final long GOLDEN = 0x9e3779b97f4a7c15L;

    private final long seed;
    private final int[] order;
    private int epochOfOrder = -1;

    /**
     * @param count the number of samples
     * @param seed decides the order of every epoch
     */
    public SampleOrder(int count, long seed) {
        this.seed = seed;
        this.order = new int[count];
    }

    /**
     * The numbers of the samples in the order of an epoch.
     *
     * @param epoch counted from 0
     * @return valid until another epoch is asked for; not to be changed
     */
    public int[] of(int epoch) {
        if (epoch != epochOfOrder) {
            // Each epoch is shuffled from the identity with a generator of its own.
            SplittableRandom random = new SplittableRandom(epochSeed(epoch));
            for (int i = 0; i < order.length; i++) {
                int j = random.nextInt(i + 1);
                order[i] = order[j];
                order[j] = i;
            }
            epochOfOrder = epoch;
        }
        return order;
    }

    /** What all that is random in an epoch starts from. */
    long epochSeed(int epoch) {
        return seed * GOLDEN + epoch;
    }
}
