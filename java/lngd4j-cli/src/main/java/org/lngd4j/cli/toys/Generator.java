// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.Random;

/**
 * The distribution of a problem's samples. {@link Random} is specified to the bit, and generators
 * use {@link StrictMath}: every machine makes the same data.
 */
@FunctionalInterface
interface Generator {
    /**
     * Draws samples; whatever is random about the problem itself (a teacher, a class's words) is
     * drawn before them.
     *
     * @param random the only source of randomness
     * @param training how many of them, the first, will be trained on: what a user would estimate
     *     from data, such as a mean, is estimated from these
     * @param count all of them
     */
    Samples draw(Random random, int training, int count);
}
