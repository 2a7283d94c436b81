// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.util.List;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.Activation;
import org.lngd4j.Fisher;
import org.lngd4j.LayerRate;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;

/** What a model and options must fulfil, checked before anything is changed. */
final class Requirements {
    private Requirements() {}

    static void check(Registration registration, LngdOptions options) {
        List<Registration.Layer> layers = registration.trained();
        for (Registration.Layer layer : layers) {
            if (layer.capture().attached()) {
                throw new LngdStateException(
                        "LNGD is attached to layer "
                                + layer.name()
                                + " already; close that attachment first");
            }
        }
        checkDevice(layers);
        if (options.layerRate() == LayerRate.EMPIRICAL) {
            throw new LngdArgumentException(
                    "options.layerRate is EMPIRICAL, allowed with PyTorch are NONE and KRONECKER");
        }
        if (options.fisher() == Fisher.PROVIDED) {
            checkOutputs(layers);
        } else {
            checkActivations(layers, options);
        }
    }

    private static void checkDevice(List<Registration.Layer> layers) {
        Registration.Named first = layers.get(0).weight();
        String wanted = device(first.tensor());
        for (Registration.Layer layer : layers) {
            TorchTensor.check(layer.weight().name(), layer.weight().tensor());
            String device = device(layer.weight().tensor());
            if (!device.equals(wanted)) {
                throw new LngdArgumentException(
                        layer.weight().name()
                                + " lies on "
                                + device
                                + ", allowed is "
                                + wanted
                                + ", where "
                                + first.name()
                                + " is: one device for all");
            }
        }
    }

    private static String device(Tensor tensor) {
        return tensor.device().str().getString();
    }

    private static void checkOutputs(List<Registration.Layer> layers) {
        List<Registration.Layer> outputs =
                layers.stream().filter(l -> l.capture().output() != OutputModel.HIDDEN).toList();
        if (outputs.isEmpty()) {
            throw new LngdArgumentException(
                    "options.fisher is PROVIDED, but no layer is an output; allowed is a model where"
                            + " one says so, for example new LngdLinear(...).output(OutputModel.SOFTMAX)");
        }
        for (Registration.Layer layer : outputs) {
            OutputModel model = layer.capture().output();
            boolean linear = layer.spec().activation() == Activation.IDENTITY;
            if (model == OutputModel.SOFTMAX_GAUSSIAN
                    || model == OutputModel.SQUARED_ERROR && !linear) {
                throw new LngdArgumentException(
                        "output of layer "
                                + layer.name()
                                + " is "
                                + model
                                + " after "
                                + layer.spec().activation()
                                + "; allowed with options.fisher PROVIDED are SOFTMAX, SIGMOID, and"
                                + " SQUARED_ERROR of the layer's own result");
            }
        }
    }

    private static void checkActivations(List<Registration.Layer> layers, LngdOptions options) {
        String unknown =
                layers.stream()
                        .filter(l -> !l.capture().knowsActivation())
                        .map(Registration.Layer::name)
                        .collect(Collectors.joining(", "));
        if (!unknown.isEmpty()) {
            throw new LngdArgumentException(
                    "options.fisher is "
                            + options.fisher()
                            + ", which needs to know the activation behind each layer, and was not told that of "
                            + unknown
                            + "; allowed are layers with activation(...) or output(...), or options of"
                            + " LngdTorch.recommended, which need neither");
        }
    }
}
