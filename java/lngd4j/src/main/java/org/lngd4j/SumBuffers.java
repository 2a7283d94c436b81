// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;

/**
 * The sums of the coming update of all layers of an optimizer, as two contiguous buffers in the
 * memory of its device, for an all-reduce in place: both are added element by element. They stay
 * where they are until the optimizer is closed, and may be read and written between {@link
 * LngdOptimizer#closeSums()} and {@link LngdOptimizer#sumsReduced()} only. What lies beside lower
 * triangles, in padding and between ranges is finite and means nothing.
 *
 * @param kind the kind of memory
 * @param deviceIndex which device; 0 on the host
 * @param floatAddress of the floats; 0 where there are none
 * @param floatCount how many floats
 * @param doubleAddress of the doubles
 * @param doubleCount how many doubles
 */
public record SumBuffers(
        MemoryKind kind,
        int deviceIndex,
        long floatAddress,
        long floatCount,
        long doubleAddress,
        long doubleCount) {
    /**
     * The floats as a JavaCPP pointer, for frameworks that take one.
     *
     * @return a new pointer that owns no memory; of memory of a device, only its address is of use
     */
    public FloatPointer floats() {
        return new FloatPointer(new AddressPointer().at(floatAddress)).capacity(floatCount);
    }

    /**
     * The doubles as a JavaCPP pointer.
     *
     * @return a new pointer that owns no memory; of memory of a device, only its address is of use
     */
    public DoublePointer doubles() {
        return new DoublePointer(new AddressPointer().at(doubleAddress)).capacity(doubleCount);
    }
}
