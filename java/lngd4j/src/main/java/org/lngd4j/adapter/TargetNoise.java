// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.adapter;

/**
 * Random numbers that are a function of (seed, step, output, element) alone: the counter goes
 * through the finalizer of SplitMix64. So a resumed run draws what the whole run would have drawn,
 * and nothing has to be saved. The framework's generator is not used, since the user's dropout
 * draws from it.
 */
public final class TargetNoise {
    private static final long GOLDEN = 0x9E3779B97F4A7C15L;
    private static final double UNIT = 0x1.0p-53;

    private final long key;

    /**
     * The numbers of one output at one step.
     *
     * @param seed of the options
     * @param step of the training, from 0
     * @param output index of the output, from 0
     */
    public TargetNoise(long seed, long step, int output) {
        key = mix(mix(mix(seed + GOLDEN) + step * GOLDEN) + output * GOLDEN);
    }

    /**
     * Uniform in (0, 1): the middle of one of 2^53 equal parts.
     *
     * @param element which number
     * @return the number
     */
    public double uniform(long element) {
        return ((mix(key + (element + 1) * GOLDEN) >>> 11) + 0.5) * UNIT;
    }

    /**
     * Normal with mean 0 and variance 1, by Box and Muller's transform of two uniforms.
     *
     * @param element which number
     * @return the number
     */
    public double normal(long element) {
        double radius = StrictMath.sqrt(-2 * StrictMath.log(uniform(2 * element)));
        return radius * StrictMath.cos(2 * Math.PI * uniform(2 * element + 1));
    }

    private static long mix(long z) {
        long a = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        long b = (a ^ (a >>> 27)) * 0x94D049BB133111EBL;
        return b ^ (b >>> 31);
    }
}
