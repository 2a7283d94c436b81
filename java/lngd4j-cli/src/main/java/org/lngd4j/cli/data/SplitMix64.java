// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

/**
 * SplitMix64 (Steele, Lea, Flood 2014), written out so that generated data are the same bytes on
 * every machine and for ever.
 */
final class SplitMix64 {
    /** What the state grows by with each number. */
    static final long GAMMA = 0x9e3779b97f4a7c15L;

    private static final double UNIT = 1.0 / (1L << 53);

    private long state;

    SplitMix64(long state) {
        this.state = state;
    }

    /** Uniform in [0, 1): the upper 53 bits of the next number. */
    double uniform() {
        state += GAMMA;
        return (mix(state) >>> 11) * UNIT;
    }

    /** Uniform in [-1, 1). */
    double symmetric() {
        return 2 * uniform() - 1;
    }

    /** The output function. */
    static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }
}
