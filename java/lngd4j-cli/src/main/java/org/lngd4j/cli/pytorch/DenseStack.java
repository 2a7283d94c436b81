// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import static org.lngd4j.cli.pytorch.Initialisation.he;
import static org.lngd4j.cli.pytorch.Initialisation.xavier;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Activation;
import org.lngd4j.OutputModel;
import org.lngd4j.pytorch.LngdLinear;

/** Dense layers in a chain: the perceptron and the autoencoder. */
final class DenseStack extends TorchModel {
    private final List<LngdLinear> layers = new ArrayList<>();
    private final List<Activation> activations = new ArrayList<>();

    private DenseStack() {
        super("dense");
    }

    /** ReLU and He's initialisation, then softmax with Xavier's. */
    static DenseStack classifier(List<Integer> widths) {
        DenseStack net = new DenseStack();
        int last = widths.size() - 1;
        for (int i = 1; i < last; i++) {
            net.add(he(new LngdLinear(widths.get(i - 1), widths.get(i))), Activation.RELU);
        }
        LngdLinear output = xavier(new LngdLinear(widths.get(last - 1), widths.get(last)));
        net.add(output.output(OutputModel.SOFTMAX), Activation.IDENTITY);
        return net;
    }

    /**
     * Tanh with Xavier's initialisation, but a linear code, and pixels as Bernoulli variables.
     *
     * @param code which layer gives the code, counted from 1
     */
    static DenseStack autoencoder(List<Integer> widths, int code) {
        DenseStack net = new DenseStack();
        int last = widths.size() - 1;
        for (int i = 1; i < last; i++) {
            net.add(
                    xavier(new LngdLinear(widths.get(i - 1), widths.get(i))),
                    i == code ? Activation.IDENTITY : Activation.TANH);
        }
        LngdLinear output = xavier(new LngdLinear(widths.get(last - 1), widths.get(last)));
        net.add(output.output(OutputModel.SIGMOID), Activation.IDENTITY);
        return net;
    }

    private void add(LngdLinear layer, Activation activation) {
        layer.activation(activation);
        layers.add(register_module("fc" + (layers.size() + 1), layer));
        activations.add(activation);
    }

    @Override
    Tensor forward(Tensor images) {
        Tensor x = images;
        for (int i = 0; i < layers.size(); i++) {
            x = layers.get(i).forward(x);
            x =
                    switch (activations.get(i)) {
                        case RELU -> torch.relu_(x);
                        case TANH -> torch.tanh(x);
                        default -> x;
                    };
        }
        return x;
    }
}
