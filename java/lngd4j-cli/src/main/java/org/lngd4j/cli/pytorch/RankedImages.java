// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.io.Serializable;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.cli.data.Dataset;
import org.lngd4j.cli.data.ImageInput;
import org.lngd4j.cli.data.ImageShape;
import org.lngd4j.cli.data.LabelledImages;
import org.lngd4j.cli.model.ImageModelSpec;
import org.lngd4j.cli.model.ModelCatalog;
import org.lngd4j.cli.train.LngdChoice;
import org.lngd4j.cli.train.TrainSettings;
import org.lngd4j.pytorch.LngdTorch;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * The network of a run as each rank of a cluster makes it and computes its loss. Sizes and tables
 * only, to be sent there; ND4J, whose natives ranks have not got, is not used but on the driver.
 *
 * @param settings of the run
 * @param image the size of an image
 * @param classes their number, or {@link Dataset#NO_CLASSES}
 * @param input what the network sees of an image
 */
public record RankedImages(TrainSettings settings, ImageShape image, int classes, ImageInput input)
        implements Serializable {
    /** The network with the weights of the seed, which are those of a run in one process. */
    public TorchModel create() {
        return TorchModel.of(spec(), settings.seed());
    }

    private ImageModelSpec spec() {
        return ModelCatalog.parse(settings.model(), image, classes);
    }

    /** Mean loss of some images, with the graph for its gradients. */
    public Tensor loss(TorchModel model, LabelledImages images) {
        int count = images.count();
        float[] all = new float[count * images.features()];
        float[] row = new float[images.features()];
        SplittableRandom random = new SplittableRandom(input.augmented() ? drawn() : 0);
        long[] labels = new long[count];
        for (int i = 0; i < count; i++) {
            input.expand(images, i, random, row);
            System.arraycopy(row, 0, all, i * row.length, row.length);
            labels[i] = images.label(i);
        }
        Tensor x = Tensor.create(all, count, row.length);
        model.train(true);
        Tensor logits = model.forward(x);
        return spec().reconstructs()
                ? TorchImages.reconstructionLoss(logits, x)
                : torch.cross_entropy_loss(logits, Tensor.create(labels));
    }

    /** From PyTorch's generator, which has a seed of its own for each step and rank. */
    private static long drawn() {
        return torch.randint(Integer.MAX_VALUE, new long[] {1}).item_long();
    }

    /** LNGD's options, as a run in one process has them. */
    public LngdOptions options(TorchModel model, long totalSteps, int batch) {
        return LngdChoice.options(
                settings, () -> LngdTorch.recommended(model, totalSteps, batch), totalSteps);
    }

    /** What moves the parameters that LNGD leaves, as in one process. */
    public ParameterRule others() {
        return TorchLngd.othersOfImages();
    }

    /** The weights of a trained network, for a network of the command. */
    public static INDArray weights(TorchModel model) {
        return ModuleState.vector(model);
    }
}
