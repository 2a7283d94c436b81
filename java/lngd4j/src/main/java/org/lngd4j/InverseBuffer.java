// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.bytedeco.javacpp.FloatPointer;

/**
 * The inverses of all layers of an optimizer, as one contiguous buffer in the memory of its device,
 * with a range for each owner ({@link LngdOptimizer#inverseRange}), for a broadcast in place. Among
 * the contents are whole numbers and doubles: they are to be copied, not to be added. It may be
 * read and written from a {@link StepPlan#refresh()} after which a layer needs inverses to {@link
 * LngdOptimizer#inversesReceived()} only.
 *
 * @param kind the kind of memory
 * @param deviceIndex which device; 0 on the host
 * @param address of the floats; 0 where there are no layers but parameters
 * @param count how many floats
 */
public record InverseBuffer(MemoryKind kind, int deviceIndex, long address, long count) {
    /**
     * A range as a JavaCPP pointer, for frameworks that take one.
     *
     * @param range of this buffer
     * @return a new pointer that owns no memory; of memory of a device, only its address is of use
     * @throws org.lngd4j.nativelib.LngdArgumentException if the range is not inside
     */
    public FloatPointer floats(InverseRange range) {
        Check.notNull("range", range);
        if (range.offset() < 0 || range.count() < 0 || range.offset() > count - range.count()) {
            throw Check.bad("range", range, "one inside of " + count + " floats");
        }
        return new FloatPointer(new AddressPointer().at(address + Float.BYTES * range.offset()))
                .capacity(range.count());
    }
}
