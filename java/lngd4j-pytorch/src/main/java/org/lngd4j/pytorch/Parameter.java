// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorImpl;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.nativelib.LngdStateException;

/**
 * A parameter that LNGD moves, and its gradient. The gradient is looked up through the slot that
 * the parameter has for it, which stays while PyTorch frees and makes the tensor in it ({@code
 * zero_grad} with {@code set_to_none}).
 */
final class Parameter {
    private final String name;
    private final Tensor tensor;
    private final TorchTensor value;
    private final Tensor slot;
    private final TensorImpl impl; // the tensor's, which it keeps alive
    private final TorchTensor gradient;
    private final boolean contiguous;

    /**
     * @param name as in {@code named_parameters()}
     * @param tensor the parameter
     * @param form how LNGD sees it; null: as it is
     */
    Parameter(String name, Tensor tensor, LayerForm form) {
        this.name = name;
        this.tensor = tensor;
        TorchTensor.check(name, tensor);
        Tensor view = form == null ? tensor.detach() : form.matrix(tensor.detach());
        value = TorchTensor.of(name, view);
        // They outlive the caller's PointerScope.
        tensor.retainReference();
        view.retainReference();
        contiguous = tensor.is_contiguous();
        slot = tensor.mutable_grad();
        impl = tensor.unsafeGetTensorImpl();
        gradient = value.like(slot);
    }

    String name() {
        return name;
    }

    TorchTensor value() {
        return value;
    }

    TorchTensor gradient() {
        return gradient;
    }

    boolean hasGradient() {
        return slot.defined();
    }

    /** Numbers in it. */
    long count() {
        return tensor.numel();
    }

    /** The parameter itself, a leaf of the graph. */
    Tensor leaf() {
        return tensor;
    }

    /** The gradient that the backward pass has left; {@link #hasGradient()}. */
    Tensor gradientTensor() {
        return slot;
    }

    /** The bits of one number of the gradient, at an index in the order of memory. */
    int gradientBits(long index) {
        return Float.floatToRawIntBits(new FloatPointer(slot.data_ptr()).get(index));
    }

    /** Sets the gradient, and makes one where there is none, to numbers in the order of memory. */
    void fillGradient(Tensor numbers) {
        if (!slot.defined()) {
            slot.put(torch.zeros_like(tensor.detach()));
        }
        slot.copy_(numbers.view_as(slot));
    }

    /** Where the gradient lies now; whether it has moved. */
    boolean refresh() {
        boolean moved = gradient.refresh();
        if (moved && contiguous && !slot.is_contiguous()) {
            slot.put(slot.contiguous());
            gradient.refresh();
        }
        return moved;
    }

    /**
     * Refuses a parameter whose memory is another one than at {@code attach}. What LNGD works on is
     * kept alive by a handle of its own, so this protects from training in vain, not from a crash.
     */
    void checkUnmoved() {
        if (tensor.data_ptr().address() != value.address()) {
            throw new LngdStateException(
                    "parameter "
                            + name
                            + " was moved after LNGD was attached (to(...), set_data): close LNGD and"
                            + " attach it again");
        }
    }

    /** A gradient of zeros, in memory of its own. */
    TorchTensor zeros() {
        Tensor zeros = torch.zeros_like(value.tensor());
        zeros.retainReference();
        return TorchTensor.of(name, zeros);
    }

    /** Tells autograd that the parameter was changed in place, as PyTorch's own optimizers do. */
    void changed() {
        impl.bump_version();
    }

    @Override
    public String toString() {
        return name;
    }
}
