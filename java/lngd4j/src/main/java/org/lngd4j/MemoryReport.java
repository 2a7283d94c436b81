// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * Bytes of native memory that an optimizer holds. Nothing of it is on the Java heap.
 *
 * @param factors running averages and sums
 * @param inverses inverses of the damped factors
 * @param momentum momentum buffers
 * @param averages averaged weights
 * @param workspace directions, packing buffers, plans
 * @param total all of it
 */
public record MemoryReport(
        long factors, long inverses, long momentum, long averages, long workspace, long total) {}
