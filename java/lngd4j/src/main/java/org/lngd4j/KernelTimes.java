// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * Wall-clock nanoseconds that an optimizer has spent in its kernels since it was made.
 *
 * @param statistics statistics into the running averages
 * @param inverse damping, factorisation and inverses
 * @param precondition directions
 * @param rate layer rates
 * @param update momentum, decay, weights and averages
 */
public record KernelTimes(
        long statistics, long inverse, long precondition, long rate, long update) {
    /**
     * All kernels together.
     *
     * @return nanoseconds
     */
    public long total() {
        return statistics + inverse + precondition + rate + update;
    }
}
