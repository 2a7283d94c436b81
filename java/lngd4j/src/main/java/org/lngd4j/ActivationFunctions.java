// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.lang.ref.Reference;
import org.bytedeco.javacpp.FloatPointer;
import org.lngd4j.nativelib.NativeLibrary;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * The activations as the kernels compute them, for checks against a framework's own. Thread-safe.
 */
public final class ActivationFunctions {
    private ActivationFunctions() {}

    /**
     * phi(s).
     *
     * @param activation phi
     * @param parameter slope of LEAKY_RELU in [0, 1], alpha of ELU above 0; otherwise ignored
     * @param s float32 values, any shape and view
     * @return a new array of the same shape, in 'c' order
     */
    public static INDArray value(Activation activation, double parameter, INDArray s) {
        return apply(activation, parameter, s, false);
    }

    /**
     * The derivative of phi at s.
     *
     * @param activation phi
     * @param parameter slope of LEAKY_RELU in [0, 1], alpha of ELU above 0; otherwise ignored
     * @param s float32 values, any shape and view
     * @return a new array of the same shape, in 'c' order
     */
    public static INDArray derivative(Activation activation, double parameter, INDArray s) {
        return apply(activation, parameter, s, true);
    }

    private static INDArray apply(
            Activation activation, double parameter, INDArray s, boolean derivative) {
        Check.notNull("activation", activation);
        Views.usable("s", null, s);
        Views.checkBackend();
        NativeLibrary.load();
        INDArray from = s.dup('c');
        INDArray to = Nd4j.createUninitializedDetached(DataType.FLOAT, 'c', s.shape());
        FloatPointer in = new AddressPointer().at(Views.address(from));
        FloatPointer out = new AddressPointer().at(Views.address(to));
        Status.check(
                lngd.lngd_activation_apply(
                        activation.code(),
                        parameter,
                        from.length(),
                        in,
                        derivative ? null : out,
                        derivative ? out : null));
        Reference.reachabilityFence(from);
        Reference.reachabilityFence(to);
        return to;
    }
}
