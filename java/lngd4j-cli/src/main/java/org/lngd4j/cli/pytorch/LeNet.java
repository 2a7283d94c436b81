// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import static org.lngd4j.cli.pytorch.Initialisation.he;
import static org.lngd4j.cli.pytorch.Initialisation.xavier;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Activation;
import org.lngd4j.OutputModel;
import org.lngd4j.cli.data.ImageShape;
import org.lngd4j.cli.model.LeNetSpec;
import org.lngd4j.pytorch.LngdConv2d;
import org.lngd4j.pytorch.LngdLinear;

/** See {@link LeNetSpec}. */
final class LeNet extends TorchModel {
    private static final long[] POOL = {2, 2};
    private static final long[] UNPADDED = {0, 0};
    private static final long[] UNDILATED = {1, 1};

    private final ImageShape image;
    private final LngdConv2d first;
    private final LngdConv2d second;
    private final LngdLinear hidden;
    private final LngdLinear output;

    LeNet(LeNetSpec spec) {
        super("lenet");
        image = spec.image();
        first = register_module("conv1", he(new LngdConv2d(image.channels(), LeNetSpec.FIRST, 5)));
        second = register_module("conv2", he(new LngdConv2d(LeNetSpec.FIRST, LeNetSpec.SECOND, 5)));
        hidden = register_module("fc1", he(new LngdLinear(spec.pooled(), LeNetSpec.HIDDEN)));
        output = register_module("fc2", xavier(new LngdLinear(LeNetSpec.HIDDEN, spec.classes())));
        first.activation(Activation.RELU);
        second.activation(Activation.RELU);
        hidden.activation(Activation.RELU);
        output.output(OutputModel.SOFTMAX);
    }

    @Override
    Tensor forward(Tensor images) {
        Tensor x = images.view(-1, image.channels(), image.height(), image.width());
        x = pool(torch.relu_(first.forward(x)));
        x = pool(torch.relu_(second.forward(x)));
        x = torch.relu_(hidden.forward(x.flatten(1, -1)));
        return output.forward(x);
    }

    private static Tensor pool(Tensor x) {
        return torch.max_pool2d(x, POOL, POOL, UNPADDED, UNDILATED, false);
    }
}
