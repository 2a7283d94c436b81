// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.MemoryKind;
import org.lngd4j.NativeTensor;
import org.lngd4j.TensorView;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * What the loss of a step was multiplied by, and the flag that keeps the step out.
 *
 * @param number the scale, where {@code tensor} is null
 * @param tensor of one element, or null
 * @param foundInf of one element, or null
 */
record LossScale(double number, Tensor tensor, Tensor foundInf) {
    static final LossScale NONE = new LossScale(1, null, null);

    private static final NativeTensor SET =
            NativeTensor.of(
                    MemoryKind.HOST, 0, new FloatPointer(new float[] {1}).retainReference(), 1);

    /** Refuses what is no scale, before anything is done. */
    void check() {
        if (tensor == null && !(number > 0 && number <= Double.MAX_VALUE)) {
            throw new LngdArgumentException(
                    "scale is " + number + ", allowed is a finite number above 0");
        }
        view("scale", tensor);
        view("foundInf", foundInf);
    }

    boolean isNone() {
        return tensor == null && foundInf == null && number == 1;
    }

    /** Waits for a tensor on a device. */
    double value() {
        return tensor == null ? number : tensor.detach().item_float();
    }

    /** Likewise; NaN counts as found. */
    boolean found() {
        return foundInf != null && foundInf.detach().item_float() != 0;
    }

    /** From now on, for this optimizer. Drawn targets have a loss of their own, without a scale. */
    void tell(LngdOptimizer optimizer) {
        if (tensor == null) {
            optimizer.gradientScale(number, false, view("foundInf", foundInf));
        } else {
            optimizer.gradientScale(view("scale", tensor), false, view("foundInf", foundInf));
        }
    }

    /** What all ranks have agreed upon. */
    static void tell(LngdOptimizer optimizer, double number, boolean found) {
        optimizer.gradientScale(number, false, found ? SET : null);
    }

    private static TensorView view(String name, Tensor of) {
        if (of == null) {
            return null;
        }
        TorchTensor view = TorchTensor.of(name, of.detach());
        if (of.numel() != 1) {
            throw new LngdArgumentException(
                    name + " has " + of.numel() + " elements, allowed is 1");
        }
        return view;
    }
}
