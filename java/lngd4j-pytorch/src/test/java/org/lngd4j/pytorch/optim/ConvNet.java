// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** PyTorch's own layers: two convolutions, a normalisation, a hidden and an output layer. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class ConvNet extends Module {
    static final int CLASSES = 4;
    static final int BATCH = 8;

    final Conv2dImpl first;
    final BatchNorm2dImpl norm;
    final Conv2dImpl second;
    final LinearImpl hidden;
    final LinearImpl output;

    ConvNet(long seed) {
        super("net");
        torch.manual_seed(seed);
        first = register_module("first", conv(2, 3, 3));
        norm = register_module("norm", new BatchNorm2dImpl(new BatchNormOptions(3)));
        second = register_module("second", conv(3, 5, 2));
        hidden = register_module("hidden", new LinearImpl(5 * 3 * 3, 6));
        output = register_module("output", new LinearImpl(6, CLASSES));
    }

    static Conv2dImpl conv(long channels, long outputs, long kernel) {
        return new Conv2dImpl(channels, outputs, new LongPointer(kernel, kernel));
    }

    Tensor forward(Tensor images) {
        Tensor x = norm.forward(torch.tanh(first.forward(images)));
        x = torch.tanh(second.forward(x)).flatten(1, -1);
        return output.forward(torch.tanh(hidden.forward(x)));
    }

    /** One backward pass; the same number gives the same data. */
    float backward(int number) {
        try (PointerScope scope = new PointerScope()) {
            torch.manual_seed(1000 + number);
            Tensor images = torch.randn(BATCH, 2, 6, 6);
            long[] labels = new long[BATCH];
            for (int i = 0; i < BATCH; i++) {
                labels[i] = (i + number) % CLASSES;
            }
            Tensor loss = torch.cross_entropy_loss(forward(images), Tensor.create(labels));
            loss.backward();
            return loss.item_float();
        }
    }

    /** Steps on data that change from step to step. */
    static void train(ConvNet net, TorchOptimizer optimizer, int from, int to) {
        for (int step = from; step < to; step++) {
            net.backward(step);
            optimizer.setLearningRate(0.01 / (1 + step));
            optimizer.step();
            optimizer.zeroGrad();
        }
    }

    Map<String, double[][]> weights() {
        return all(false);
    }

    Map<String, double[][]> gradients() {
        return all(true);
    }

    private Map<String, double[][]> all(boolean gradients) {
        Map<String, double[][]> all = new LinkedHashMap<>();
        try (PointerScope scope = new PointerScope()) {
            StringTensorDict parameters = named_parameters();
            for (long i = 0; i < parameters.size(); i++) {
                Tensor t = parameters.get(i).access();
                all.put(parameters.get(i).key().getString(), Dense.of(gradients ? t.grad() : t));
            }
        }
        return all;
    }
}
