// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.lngd4j.Activation;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationELU;
import org.nd4j.linalg.activations.impl.ActivationIdentity;
import org.nd4j.linalg.activations.impl.ActivationLReLU;
import org.nd4j.linalg.activations.impl.ActivationPReLU;
import org.nd4j.linalg.activations.impl.ActivationReLU;
import org.nd4j.linalg.activations.impl.ActivationSigmoid;
import org.nd4j.linalg.activations.impl.ActivationSoftPlus;
import org.nd4j.linalg.activations.impl.ActivationSoftmax;
import org.nd4j.linalg.activations.impl.ActivationSwish;
import org.nd4j.linalg.activations.impl.ActivationTanH;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * How LNGD gets phi'(s) of a DL4J activation. Three ways: the library knows the activation ({@code
 * known} is set); it is elementwise but unknown, then its own {@code backprop} with epsilon = 1
 * gives phi' ({@code derivative} is set); or it is neither ({@code problem} is set).
 *
 * @param known the library's activation, or null
 * @param parameter its parameter
 * @param derivative the activation whose backprop gives phi', or null
 * @param problem why LNGD cannot take it, or null
 */
record ActivationModel(Activation known, double parameter, IActivation derivative, String problem) {

    /**
     * DL4J's GELU is left out of the list on purpose: both of its forms are approximations (with a
     * sigmoid or a tanh), the library's is the exact one. So is ELU with alpha other than 1, whose
     * alpha DL4J forgets in the derivative.
     */
    static ActivationModel of(IActivation activation) {
        Class<?> type = activation.getClass();
        if (type == ActivationIdentity.class) {
            return known(Activation.IDENTITY, 0);
        } else if (type == ActivationReLU.class) {
            return relu((ActivationReLU) activation);
        } else if (type == ActivationLReLU.class) {
            double slope = ((ActivationLReLU) activation).getAlpha();
            return slope >= 0 && slope <= 1
                    ? known(Activation.LEAKY_RELU, slope)
                    : derivative(activation);
        } else if (type == ActivationELU.class) {
            return ((ActivationELU) activation).getAlpha() == 1
                    ? known(Activation.ELU, 1)
                    : derivative(activation);
        } else if (type == ActivationTanH.class) {
            return known(Activation.TANH, 0);
        } else if (type == ActivationSigmoid.class) {
            return known(Activation.SIGMOID, 0);
        } else if (type == ActivationSoftPlus.class) {
            return known(Activation.SOFTPLUS, 0);
        } else if (type == ActivationSwish.class) {
            return known(Activation.SWISH, 0);
        } else if (type == ActivationSoftmax.class || type == ActivationPReLU.class) {
            return problem(
                    "its activation " + activation + " is not elementwise without parameters");
        } else if (type.getPackage() == ActivationSoftmax.class.getPackage()) {
            return derivative(activation);
        }
        return probe(activation);
    }

    private static ActivationModel relu(ActivationReLU relu) {
        boolean plain = relu.getMax() == null && relu.getThreshold() == null;
        if (plain && relu.getNegativeSlope() == null) {
            return known(Activation.RELU, 0);
        }
        if (plain && relu.getNegativeSlope() >= 0 && relu.getNegativeSlope() <= 1) {
            return known(Activation.LEAKY_RELU, relu.getNegativeSlope());
        }
        return derivative(relu);
    }

    /**
     * Tries an activation that somebody else wrote: its Jacobian is diagonal only if backprop(z, v)
     * = v backprop(z, 1). The numbers are fixed, since drawing them would disturb ND4J's random
     * state and with it the user's run.
     */
    private static ActivationModel probe(IActivation activation) {
        int rows = 3;
        int columns = 5;
        INDArray z = Nd4j.createUninitialized(DataType.FLOAT, rows, columns);
        INDArray v = z.ulike();
        for (int i = 0; i < rows * columns; i++) {
            z.putScalar(i, 1.5 * Math.sin(1 + 2.3 * i));
            v.putScalar(i, 1 + 0.7 * Math.cos(3.1 * i));
        }
        try {
            activation.getActivation(z.dup(), true);
            INDArray direct = activation.backprop(z.dup(), v.dup()).getFirst();
            INDArray product = slope(activation, z).muli(v);
            double scale = 1 + product.amaxNumber().doubleValue();
            double difference = direct.sub(product).amaxNumber().doubleValue();
            if (difference <= 1e-4 * scale) {
                return derivative(activation);
            }
            return problem("its activation " + activation + " is not elementwise");
        } catch (RuntimeException e) {
            return problem("its activation " + activation + " could not be tried (" + e + ")");
        }
    }

    /**
     * phi'(z) by the activation's own backprop. z is left alone: some activations write to their
     * arguments.
     */
    static INDArray slope(IActivation activation, INDArray z) {
        INDArray ones = Nd4j.createUninitialized(z.dataType(), z.shape()).assign(1);
        return activation.backprop(z.dup(), ones).getFirst();
    }

    /**
     * Whether a layer has nothing of its own behind the matrix, so that a layer after it may say
     * what phi is.
     */
    static boolean isBare(DenseLayer layer) {
        return layer.getActivationFn() instanceof ActivationIdentity;
    }

    private static ActivationModel known(Activation activation, double parameter) {
        return new ActivationModel(activation, parameter, null, null);
    }

    private static ActivationModel derivative(IActivation activation) {
        return new ActivationModel(null, 0, activation, null);
    }

    private static ActivationModel problem(String reason) {
        return new ActivationModel(null, 0, null, reason);
    }
}
