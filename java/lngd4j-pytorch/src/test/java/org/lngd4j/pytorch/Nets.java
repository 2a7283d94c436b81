// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Activation;
import org.lngd4j.OutputModel;

/** Small models and data for the tests; the same seed gives the same numbers. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class Nets {
    static final int INPUTS = 6;
    static final int HIDDEN = 5;
    static final int CLASSES = 4;
    static final int BATCH = 12;

    private Nets() {}

    /** Two layers with ReLU between them. */
    static final class Mlp extends Module {
        final LngdLinear first;
        final LngdLinear second;
        boolean inPlace;

        Mlp(long seed) {
            super("mlp");
            torch.manual_seed(seed);
            first = register_module("first", new LngdLinear(INPUTS, HIDDEN));
            second = register_module("second", new LngdLinear(HIDDEN, CLASSES));
            first.activation(Activation.RELU);
            second.output(OutputModel.SOFTMAX);
        }

        Tensor forward(Tensor x) {
            Tensor s = first.forward(x);
            return second.forward(inPlace ? torch.relu_(s) : torch.relu(s));
        }

        void backward(Tensor x, Tensor labels) {
            torch.cross_entropy_loss(forward(x), labels).backward();
        }
    }

    static Tensor inputs(long seed, long... shape) {
        torch.manual_seed(seed);
        return torch.randn(shape);
    }

    static Tensor labels(long seed, int count) {
        java.util.Random random = new java.util.Random(seed);
        long[] labels = new long[count];
        for (int i = 0; i < count; i++) {
            labels[i] = random.nextInt(CLASSES);
        }
        return Tensor.create(labels);
    }

    /** Steps of training on batches that change from step to step. */
    static void train(Mlp net, LngdTorch lngd, int from, int to) {
        for (int step = from; step < to; step++) {
            try (PointerScope scope = new PointerScope()) {
                net.backward(inputs(100 + step, BATCH, INPUTS), labels(step, BATCH));
                lngd.step();
                lngd.zeroGrad();
            }
        }
    }

    static float[] floats(Tensor t) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            Tensor compact = t.detach().contiguous();
            float[] values = new float[Math.toIntExact(compact.numel())];
            new FloatPointer(compact.data_ptr()).get(values);
            return values;
        }
    }

    /** All parameters of a model, one after another. */
    static float[] weights(Module net) {
        return flat(net, Tensor::detach);
    }

    static float[] gradients(Module net) {
        return flat(net, Tensor::grad);
    }

    private static float[] flat(Module net, UnaryOperator<Tensor> of) {
        try (PointerScope scope = new PointerScope()) {
            TensorVector parameters = net.parameters();
            Tensor[] flat = new Tensor[(int) parameters.size()];
            for (int i = 0; i < flat.length; i++) {
                flat[i] = of.apply(parameters.get(i)).reshape(-1);
            }
            return floats(torch.cat(new TensorVector(flat)));
        }
    }
}
