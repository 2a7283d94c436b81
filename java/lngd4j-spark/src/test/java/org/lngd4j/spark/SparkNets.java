// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.util.List;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.LayerNormImpl;
import org.bytedeco.pytorch.LayerNormOptions;
import org.bytedeco.pytorch.LongVector;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Activation;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.Preset;
import org.lngd4j.pytorch.LngdConv2d;
import org.lngd4j.pytorch.LngdLinear;

/** Networks that ranks train. */
final class SparkNets {
    private SparkNets() {}

    /** A module whose forward pass Java calls. */
    abstract static class Net extends Module {
        Net(String name) {
            super(name);
        }

        abstract Tensor forward(Tensor x);
    }

    /** Of more than a mebibyte: gradients are added during the backward pass. */
    static final class Mlp extends Net {
        private static final int WIDTH = 520;
        private final LngdLinear first = register_module("first", new LngdLinear(12, WIDTH));
        private final LngdLinear second = register_module("second", new LngdLinear(WIDTH, WIDTH));
        private final LngdLinear output =
                register_module("output", new LngdLinear(WIDTH, Sample.CLASSES));

        Mlp() {
            super("mlp");
            first.activation(Activation.RELU);
            second.activation(Activation.RELU);
            output.output(OutputModel.SOFTMAX);
        }

        @Override
        Tensor forward(Tensor x) {
            Tensor hidden = torch.relu(first.forward(x.flatten(1, -1)));
            return output.forward(torch.relu(second.forward(hidden)));
        }
    }

    /** A convolution, a norm that LNGD does not train, dropout where asked for, and an output. */
    static final class Conv extends Net {
        private final LngdConv2d conv =
                register_module(
                        "conv", new LngdConv2d(new Conv2dOptions(2, 4, new LongPointer(3, 3))));
        private final LayerNormImpl norm =
                register_module(
                        "norm", new LayerNormImpl(new LayerNormOptions(new LongVector(4, 3, 4))));
        private final LngdLinear output =
                register_module("output", new LngdLinear(48, Sample.CLASSES));
        private final double dropout;

        Conv(double dropout) {
            super("conv");
            this.dropout = dropout;
            conv.activation(Activation.IDENTITY); // the norm comes first
            output.output(OutputModel.SOFTMAX);
        }

        @Override
        Tensor forward(Tensor x) {
            Tensor hidden = torch.relu(norm.forward(conv.forward(x))).flatten(1, -1);
            return output.forward(dropout > 0 ? torch.dropout(hidden, dropout, true) : hidden);
        }
    }

    /** The job: one of them, with a preset. */
    static class Job implements TorchNetwork<Net, Sample> {
        private static final long serialVersionUID = 1L;
        static final int MLP_SIZE = 12;
        static final int CONV_SIZE = 60;

        private final boolean conv;
        private final double dropout;
        private final Preset preset;

        Job(boolean conv, double dropout, Preset preset) {
            this.conv = conv;
            this.dropout = dropout;
            this.preset = preset;
        }

        @Override
        public Net create() {
            return conv ? new Conv(dropout) : new Mlp();
        }

        @Override
        public Tensor loss(Net model, List<Sample> samples) {
            Tensor x = conv ? Sample.inputs(samples, 2, 5, 6) : Sample.inputs(samples, MLP_SIZE);
            return torch.cross_entropy_loss(model.forward(x), Sample.labels(samples));
        }

        @Override
        public LngdOptions options(Net model, long totalSteps, int batch) {
            return LngdOptions.preset(preset, totalSteps)
                    .statisticsInterval(3)
                    .inverseInterval(3)
                    .build();
        }

        int size() {
            return conv ? CONV_SIZE : MLP_SIZE;
        }
    }
}
