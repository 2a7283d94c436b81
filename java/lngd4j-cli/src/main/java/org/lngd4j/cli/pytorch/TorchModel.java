// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.cli.model.AutoencoderSpec;
import org.lngd4j.cli.model.ImageModelSpec;
import org.lngd4j.cli.model.LeNetSpec;
import org.lngd4j.cli.model.MlpSpec;
import org.lngd4j.cli.model.ResNetSpec;

/** A model of {@code --model} as a module whose forward is Java. */
public abstract class TorchModel extends Module {
    TorchModel(String name) {
        super(name);
    }

    /** Logits, from images as rows. */
    abstract Tensor forward(Tensor images);

    /** The model of a specification, with fresh weights drawn from the seed. */
    static TorchModel of(ImageModelSpec spec, long seed) {
        torch.manual_seed(seed);
        if (spec instanceof MlpSpec mlp) {
            return DenseStack.classifier(mlp.widths());
        }
        if (spec instanceof AutoencoderSpec autoencoder) {
            return DenseStack.autoencoder(autoencoder.mirrored(), autoencoder.encoder().size() - 1);
        }
        if (spec instanceof LeNetSpec leNet) {
            return new LeNet(leNet);
        }
        return new ResNet((ResNetSpec) spec);
    }
}
