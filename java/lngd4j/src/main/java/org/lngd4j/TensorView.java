// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * A float32 tensor that a framework owns, as it lies in memory now. An adapter implements it for
 * the arrays of its framework; {@link NativeTensor} is the implementation for a fixed address.
 * Nothing is copied through it: the native library reads and writes the memory where it is.
 *
 * <p>Element (i, j, ...) lies at {@code address() + 4 (i stride(0) + j stride(1) + ...)} bytes.
 *
 * <p>Everything is asked anew each time the tensor is used, so that an adapter may point one view
 * at another array from call to call. A view that a {@link StepPlan} holds keeps its rank, sizes,
 * strides and kind of memory; its address may change only together with {@link StepPlan#rebind}.
 *
 * <p>A view is used by the thread that calls the optimizer, during that call and not after it; it
 * need not be thread-safe. It keeps its memory allocated for as long as it is reachable, or {@link
 * #address()} tells that the memory is gone.
 *
 * <p>{@code observe} and {@code step} ask these methods at each call, so they should neither
 * allocate nor lock.
 */
public interface TensorView {
    /** {@return where the memory lies} */
    MemoryKind kind();

    /** {@return index of the device, from 0; 0 for {@link MemoryKind#HOST}} */
    int deviceIndex();

    /**
     * The address of element 0, whatever the strides. Asked anew each time the tensor is used, and
     * used no longer than the call that asked.
     *
     * @return the address, not 0
     * @throws RuntimeException of the implementation's choice if the tensor was freed; the call
     *     that asked ends with it, and nothing is changed
     */
    long address();

    /** {@return the number of dimensions, 0 for a scalar} */
    int rank();

    /**
     * The size in one dimension.
     *
     * @param dimension from 0 to rank - 1
     * @return the number of elements
     */
    long size(int dimension);

    /**
     * The distance of neighbours in one dimension.
     *
     * @param dimension from 0 to rank - 1
     * @return the stride in elements, of any sign
     */
    long stride(int dimension);
}
