// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/** What can be checked of a {@link LayerSpec} without the native library. */
final class LayerChecks {
    private static final long LARGEST = 1L << 24;

    private LayerChecks() {}

    static void sizes(String name, LayerKind kind, long inputs, long outputs, boolean bias) {
        if (kind instanceof ParameterRule) {
            parameter(name, inputs, outputs, bias);
            return;
        }
        size(name + ": inputs", inputs);
        size(name + ": outputs", outputs);
        if (kind instanceof Convolution convolution) {
            groups(name, convolution.groups(), inputs, outputs);
            size(
                    name + ": d_w, channels of a group times kernel",
                    inputs / convolution.groups() * convolution.patch());
        }
    }

    private static void parameter(String name, long elements, long outputs, boolean bias) {
        if (elements < 1 || elements > Integer.MAX_VALUE) {
            throw Check.bad(name + ": elements", elements, "a whole number in [1, 2^31)");
        }
        if (outputs != 1 || bias) {
            throw Check.bad(name, outputs + " outputs, bias " + bias, "1 and none for a parameter");
        }
    }

    private static void groups(String name, int groups, long inputs, long outputs) {
        if (inputs % groups != 0 || outputs % groups != 0) {
            throw Check.bad(
                    name + ": groups",
                    groups,
                    "a divisor of " + inputs + " channels in and " + outputs + " out");
        }
    }

    private static void size(String what, long value) {
        if (value < 1 || value > LARGEST) {
            throw Check.bad(what, value, "a whole number in [1, " + LARGEST + "]");
        }
    }

    static void activation(
            String name, Activation activation, double parameter, OutputModel output) {
        if (activation == Activation.LEAKY_RELU) {
            Check.within(name + ": activationParameter (slope of LEAKY_RELU)", parameter, 0, 1);
        } else if (activation == Activation.ELU) {
            Check.positive(name + ": activationParameter (alpha of ELU)", parameter);
        }
        if (isLink(output) && activation != Activation.IDENTITY) {
            throw Check.bad(
                    name + ": activation",
                    activation,
                    "IDENTITY where the output model is " + output);
        }
    }

    /** Whether a model has the link function in itself. */
    static boolean isLink(OutputModel model) {
        return model == OutputModel.SOFTMAX
                || model == OutputModel.SIGMOID
                || model == OutputModel.SOFTMAX_GAUSSIAN;
    }
}
