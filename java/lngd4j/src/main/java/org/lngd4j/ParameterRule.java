// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/**
 * What moves a tensor outside of any layer, in the same step as the layers, times the same
 * schedule. With its gradient G, e = learningRate times the factor of the step, t the steps that
 * moved it:
 *
 * <pre>
 * ADAMW      M = beta1 M + (1 - beta1) G     V = beta2 V + (1 - beta2) G^2
 *            D = (M / (1 - beta1^t)) / (sqrt(V / (1 - beta2^t)) + epsilon)
 *            W = W - e (D + weightDecay W)
 * NESTEROV   M = momentum M - e G            W = W + momentum M - e (G + weightDecay W)
 * </pre>
 *
 * (I. Loshchilov, F. Hutter, ICLR 2019, algorithm 2; I. Sutskever, J. Martens, G. Dahl, G. Hinton,
 * ICML 2013.) Immutable; the methods that take an argument give a changed copy.
 *
 * @param method AdamW or Nesterov momentum
 * @param learningRate in (0, 1e6]
 * @param weightDecay decoupled, at least 0
 * @param beta1 of AdamW, in [0, 1)
 * @param beta2 of AdamW, in [0, 1)
 * @param epsilon of AdamW, in [1e-16, 1e6]
 * @param momentum of Nesterov, in [0, 1)
 */
public record ParameterRule(
        Method method,
        double learningRate,
        double weightDecay,
        double beta1,
        double beta2,
        double epsilon,
        double momentum)
        implements LayerKind {
    private static final double LARGEST = 1e6;

    /** The rules that there are. */
    public enum Method {
        /** Adam with decoupled weight decay. */
        ADAMW(lngd.LNGD_PARAMETER_ADAMW),
        /** SGD with Nesterov's momentum. */
        NESTEROV(lngd.LNGD_PARAMETER_NESTEROV);

        private final int code;

        Method(int code) {
            this.code = code;
        }

        /**
         * The value of this constant in the C ABI.
         *
         * @return an {@code lngd_parameter_method}
         */
        public int code() {
            return code;
        }
    }

    /**
     * Checks the ranges.
     *
     * @param method AdamW or Nesterov momentum
     * @param learningRate learning rate
     * @param weightDecay weight decay
     * @param beta1 beta1
     * @param beta2 beta2
     * @param epsilon epsilon
     * @param momentum momentum
     */
    public ParameterRule {
        Check.notNull("method", method);
        if (!(learningRate > 0 && learningRate <= LARGEST)) {
            throw Check.bad("learningRate", learningRate, "a number in (0, 1e6]");
        }
        if (!(weightDecay >= 0 && weightDecay < Double.POSITIVE_INFINITY)) {
            throw Check.bad("weightDecay", weightDecay, "a number of at least 0");
        }
        fraction("beta1", beta1);
        fraction("beta2", beta2);
        if (!(epsilon >= 1e-16 && epsilon <= LARGEST)) {
            throw Check.bad("epsilon", epsilon, "a number in [1e-16, 1e6]");
        }
        fraction("momentum", momentum);
    }

    private static void fraction(String argument, double value) {
        if (!(value >= 0 && value < 1)) {
            throw Check.bad(argument, value, "a number in [0, 1)");
        }
    }

    /**
     * AdamW with the usual numbers and no decay, which is right for the scales and shifts of norms.
     *
     * @return learning rate 1e-3, beta1 0.9, beta2 0.999, epsilon 1e-8
     */
    public static ParameterRule adamW() {
        return new ParameterRule(Method.ADAMW, 1e-3, 0, 0.9, 0.999, 1e-8, 0.9);
    }

    /**
     * Nesterov momentum 0.9 without decay.
     *
     * @param learningRate in (0, 1e6]
     * @return the rule
     */
    public static ParameterRule nesterov(double learningRate) {
        return new ParameterRule(Method.NESTEROV, learningRate, 0, 0.9, 0.999, 1e-8, 0.9);
    }

    /**
     * A copy with another learning rate.
     *
     * @param value in (0, 1e6]
     * @return the copy
     */
    public ParameterRule learningRate(double value) {
        return new ParameterRule(method, value, weightDecay, beta1, beta2, epsilon, momentum);
    }

    /**
     * A copy with another decay.
     *
     * @param value at least 0
     * @return the copy
     */
    public ParameterRule weightDecay(double value) {
        return new ParameterRule(method, learningRate, value, beta1, beta2, epsilon, momentum);
    }

    @Override
    public String word() {
        return "a parameter";
    }

    @Override
    public String toString() {
        String name = method == Method.ADAMW ? "AdamW " : "Nesterov momentum " + momentum + ", ";
        String decay = weightDecay > 0 ? ", weight decay " + weightDecay : "";
        return name + "learning rate " + learningRate + decay;
    }
}
