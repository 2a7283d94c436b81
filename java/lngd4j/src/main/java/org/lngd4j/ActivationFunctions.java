// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.NativeLibrary;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;

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
     * @param s the values, one or more
     * @return a new array of the same length
     * @throws org.lngd4j.nativelib.LngdArgumentException for null, no values, or a parameter out of
     *     its range
     */
    public static float[] value(Activation activation, double parameter, float... s) {
        return apply(activation, parameter, s, false);
    }

    /**
     * The derivative of phi at s.
     *
     * @param activation phi
     * @param parameter slope of LEAKY_RELU in [0, 1], alpha of ELU above 0; otherwise ignored
     * @param s the values, one or more
     * @return a new array of the same length
     * @throws org.lngd4j.nativelib.LngdArgumentException for null, no values, or a parameter out of
     *     its range
     */
    public static float[] derivative(Activation activation, double parameter, float... s) {
        return apply(activation, parameter, s, true);
    }

    private static float[] apply(
            Activation activation, double parameter, float[] s, boolean derivative) {
        Check.notNull("activation", activation);
        Check.notNull("s", s);
        Check.atLeast("the number of values of s", s.length, 1);
        NativeLibrary.load();
        float[] to = new float[s.length];
        Status.check(
                lngd.lngd_activation_apply(
                        activation.code(),
                        parameter,
                        s.length,
                        s,
                        derivative ? null : to,
                        derivative ? to : null));
        return to;
    }
}
