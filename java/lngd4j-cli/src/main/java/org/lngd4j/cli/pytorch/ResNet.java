// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import static org.lngd4j.cli.pytorch.Initialisation.he;
import static org.lngd4j.cli.pytorch.Initialisation.xavier;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Activation;
import org.lngd4j.OutputModel;
import org.lngd4j.cli.data.ImageShape;
import org.lngd4j.cli.model.ResNetSpec;
import org.lngd4j.pytorch.LngdConv2d;
import org.lngd4j.pytorch.LngdLinear;

/** See {@link ResNetSpec}. */
final class ResNet extends TorchModel {
    private static final int STEM = 3;

    private final ImageShape image;
    private final Normalised stem;
    private final List<Block> blocks = new ArrayList<>();
    private final LngdLinear output;

    ResNet(ResNetSpec spec) {
        super(spec.name());
        image = spec.image();
        int in = spec.widths().get(0);
        stem = register_module("stem", new Normalised(STEM, image.channels(), in, 1));
        for (int stage = 0; stage < spec.widths().size(); stage++) {
            int out = spec.widths().get(stage);
            for (int block = 0; block < spec.blocks(); block++) {
                int stride = stage > 0 && block == 0 ? 2 : 1;
                String name = "s" + (stage + 1) + "b" + (block + 1);
                blocks.add(register_module(name, new Block(in, out, stride)));
                in = out;
            }
        }
        output = register_module("output", xavier(new LngdLinear(in, spec.classes())));
        output.output(OutputModel.SOFTMAX);
    }

    @Override
    Tensor forward(Tensor images) {
        Tensor x = images.view(-1, image.channels(), image.height(), image.width());
        x = torch.relu_(stem.forward(x));
        for (Block block : blocks) {
            x = block.forward(x);
        }
        return output.forward(x.mean(2, 3));
    }

    /** A convolution without bias, then batch norm. */
    private static final class Normalised extends Module {
        private final LngdConv2d conv;
        private final BatchNorm2dImpl norm;

        Normalised(int kernel, int in, int out, int stride) {
            super("normalised");
            Conv2dOptions options = new Conv2dOptions(in, out, new LongPointer(kernel, kernel));
            options.stride().put(0, stride).put(1, stride);
            options.padding().put(new LongPointer(kernel / 2, kernel / 2));
            options.bias().put(false);
            conv = register_module("conv", he(new LngdConv2d(options)));
            conv.activation(Activation.IDENTITY); // the norm comes between
            norm = register_module("norm", new BatchNorm2dImpl(new BatchNormOptions(out)));
        }

        Tensor forward(Tensor x) {
            return norm.forward(conv.forward(x));
        }
    }

    /** Two of them beside a shortcut, which is one of kernel 1 where the size changes. */
    private static final class Block extends Module {
        private final Normalised first;
        private final Normalised second;
        private final Normalised shortcut; // null: the input itself

        Block(int in, int out, int stride) {
            super("block");
            first = register_module("first", new Normalised(3, in, out, stride));
            second = register_module("second", new Normalised(3, out, out, 1));
            shortcut =
                    in == out
                            ? null
                            : register_module("shortcut", new Normalised(1, in, out, stride));
        }

        Tensor forward(Tensor x) {
            Tensor y = second.forward(torch.relu_(first.forward(x)));
            return torch.relu_(y.add_(shortcut == null ? x : shortcut.forward(x)));
        }
    }
}
