// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;

/**
 * One tensor of a {@link StepPlan}: the view, and what the native plan knows of it, which is fixed
 * but for the address. The shape is kept by value, since a view may be pointed at another array.
 */
final class BoundTensor {
    private final String argument;
    private final LayerSpec layer;
    private final MemoryKind kind;
    private final int device;
    private final long[] sizes;
    private final long[] strides;
    private TensorView view;
    private long address;
    private TensorView nextView;
    private long nextAddress;

    /** A view that was checked. */
    BoundTensor(String argument, LayerSpec layer, TensorView view) {
        this.argument = argument;
        this.layer = layer;
        this.kind = view.kind();
        this.device = view.deviceIndex();
        this.sizes = new long[view.rank()];
        this.strides = new long[sizes.length];
        for (int i = 0; i < sizes.length; i++) {
            sizes[i] = view.size(i);
            strides[i] = view.stride(i);
        }
        this.view = view;
        this.address = view.address();
    }

    /** The native side writes to the address it was given: it must still be that of the view. */
    void checkUnmoved() {
        long now = view.address();
        if (now != address) {
            throw new LngdStateException(
                    argument
                            + " of layer \""
                            + layer.name()
                            + "\" lies at 0x"
                            + Long.toHexString(now)
                            + " now, and at 0x"
                            + Long.toHexString(address)
                            + " for the plan: it has moved since the plan was made; rebind the"
                            + " plan, or make another one");
        }
    }

    /**
     * Checks what a rebind puts in the place of the view, and changes nothing yet. The plan's own
     * view, where it lay, is not looked at again: weights, mostly.
     *
     * @return the new address
     */
    long next(TensorView replacement) {
        if (replacement == null) {
            throw TensorChecks.bad(argument, layer, "null", "a tensor");
        }
        nextView = replacement;
        nextAddress = replacement.address();
        if (replacement != view || nextAddress != address) {
            checkSame(replacement);
        }
        return nextAddress;
    }

    /** After the native plan has taken it. */
    void take() {
        view = nextView;
        address = nextAddress;
        nextView = null;
    }

    private void checkSame(TensorView t) {
        boolean same = t.rank() == sizes.length;
        for (int i = 0; same && i < sizes.length; i++) {
            // Of one element there is no neighbour: frameworks do not agree on that stride.
            same = t.size(i) == sizes[i] && (t.stride(i) == strides[i] || sizes[i] == 1);
        }
        if (!same || t.kind() != kind || t.deviceIndex() != device) {
            throw other(t);
        }
    }

    private LngdArgumentException other(TensorView t) {
        long[] seenSizes = new long[t.rank()];
        long[] seenStrides = new long[t.rank()];
        for (int i = 0; i < seenSizes.length; i++) {
            seenSizes[i] = t.size(i);
            seenStrides[i] = t.stride(i);
        }
        return TensorChecks.bad(
                argument,
                layer,
                NativeTensor.text(t.kind(), t.deviceIndex(), seenSizes, seenStrides),
                "what the plan was made with, "
                        + NativeTensor.text(kind, device, sizes, strides)
                        + "; another one needs another plan");
    }
}
