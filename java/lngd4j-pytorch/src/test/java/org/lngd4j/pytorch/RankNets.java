// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.LayerNormImpl;
import org.bytedeco.pytorch.LayerNormOptions;
import org.bytedeco.pytorch.LongVector;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Activation;
import org.lngd4j.OutputModel;

/** Models and batches that several processes train together. */
final class RankNets {
    /** Samples of a whole batch. */
    static final int BATCH = 12;

    private static final int LAST = 7; // of every fifth batch: an uneven one

    private RankNets() {}

    /** A model whose forward pass Java calls. */
    abstract static class Net extends Module {
        Net(String name, long seed) {
            super(name);
            torch.manual_seed(seed);
        }

        abstract Tensor forward(Tensor x);

        abstract Tensor inputs(int step);
    }

    /** Two layers. */
    static final class Mlp extends Net {
        private final LngdLinear first = register_module("first", new LngdLinear(6, 9));
        private final LngdLinear second =
                register_module("second", new LngdLinear(9, Nets.CLASSES));

        Mlp(long seed) {
            super("mlp", seed);
            first.activation(Activation.RELU);
            second.output(OutputModel.SOFTMAX);
        }

        @Override
        Tensor forward(Tensor x) {
            return second.forward(torch.relu(first.forward(x)));
        }

        @Override
        Tensor inputs(int step) {
            return Nets.inputs(100 + step, samples(step), 6);
        }
    }

    /** A convolution, a norm that LNGD does not train, and an output. */
    static final class Conv extends Net {
        private final LngdConv2d conv =
                register_module(
                        "conv", new LngdConv2d(new Conv2dOptions(2, 3, new LongPointer(3, 3))));
        private final LayerNormImpl norm =
                register_module(
                        "norm", new LayerNormImpl(new LayerNormOptions(new LongVector(3, 5, 4))));
        private final LngdLinear output =
                register_module("output", new LngdLinear(60, Nets.CLASSES));

        Conv(long seed) {
            super("conv", seed);
            conv.activation(Activation.IDENTITY); // the norm comes first
            output.output(OutputModel.SOFTMAX);
        }

        @Override
        Tensor forward(Tensor x) {
            return output.forward(torch.relu(norm.forward(conv.forward(x))).flatten(1, -1));
        }

        @Override
        Tensor inputs(int step) {
            return Nets.inputs(100 + step, samples(step), 2, 7, 6);
        }
    }

    /** The batches are not all of one size. */
    static int samples(int step) {
        return step % 5 == 4 ? LAST : BATCH;
    }

    /** Where the share of each rank begins, and the end: of two, uneven, and sometimes empty. */
    static int[] bounds(int step, int size) {
        if (size == 1) {
            return new int[] {0, samples(step)};
        }
        int middle =
                switch (step % 5) {
                    case 2 -> 0; // rank 0 has nothing
                    case 3 -> BATCH; // rank 1 has nothing
                    case 4 -> 5; // of 7
                    default -> BATCH / 2;
                };
        return new int[] {0, middle, samples(step)};
    }
}
