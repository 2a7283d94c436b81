// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import org.lngd4j.cli.CliException;
import org.lngd4j.cli.data.CurvesDataset;
import org.lngd4j.cli.data.Dataset;
import org.lngd4j.cli.data.ImageShape;
import org.lngd4j.cli.text.ParallelCorpus;

/** The networks that {@code --model} can name: the one place where they are listed. */
public final class ModelCatalog {
    private static final String EXPECTED =
            "expected mlp or mlp:W-W-..., ae or ae:W-W-..., lenet, resnet8, resnet20, resnet18-cifar,"
                    + " transformer or transformer:LAYERS-WIDTH-HEADS-FF";

    private ModelCatalog() {}

    /** Checks the text of {@code --model} before any data are read, as far as that is possible. */
    public static void validate(String text) {
        if (text.startsWith("mlp")) {
            MlpSpec.validate(text);
        } else if (text.startsWith("ae")) {
            AutoencoderSpec.listed(text);
        } else if (TransformerSpec.isName(text)) {
            TransformerSpec.validate(text);
        } else if (!text.equals("lenet") && !ResNetSpec.isName(text)) {
            throw CliException.badInput("--model " + text + ": " + EXPECTED);
        }
    }

    /** Sizes the named network for a data set. */
    public static ImageModelSpec parse(String text, Dataset data) {
        return parse(text, data.training().shape(), data.classes());
    }

    /**
     * Sizes the named network.
     *
     * @param classes their number, or {@link Dataset#NO_CLASSES}
     */
    public static ImageModelSpec parse(String text, ImageShape image, int classes) {
        validate(text);
        if (TransformerSpec.isName(text)) {
            throw CliException.badInput(
                    "--model "
                            + text
                            + " learns sentences, these data are images; name a folder of sentences"
                            + " with --data, or multi30k");
        }
        if (text.startsWith("ae")) {
            if (image.channels() > 1) {
                throw CliException.badInput(
                        "--model "
                                + text
                                + ": its targets are grey images in [0, 1], these data are "
                                + image);
            }
            return AutoencoderSpec.parse(text, image.features());
        }
        if (classes == Dataset.NO_CLASSES) {
            throw CliException.badInput(
                    "--model " + text + ": these data have no classes, only ae can learn them");
        }
        if (text.startsWith("mlp")) {
            return MlpSpec.parse(text, image.features(), classes);
        }
        return text.equals("lenet")
                ? new LeNetSpec(image, classes)
                : ResNetSpec.named(text, image, classes);
    }

    /**
     * The network that fits data, where none is named.
     *
     * @param data the value of {@code --data}
     */
    public static String fitting(String data) {
        if (ParallelCorpus.isNamed(data)) {
            return "transformer";
        }
        return CurvesDataset.NAME.equals(data) ? "ae" : "mlp";
    }

    /**
     * LNGD's preset that fits, where none is named; null: the default.
     *
     * @param data the value of {@code --data}
     * @param model that of {@code --model}, or null where none is named
     */
    public static String fittingPreset(String data, String model) {
        String network = model == null ? fitting(data) : model;
        // Where RECIPE is far behind: docs/results.md.
        boolean chosen = TransformerSpec.isName(network) || network.startsWith("ae");
        return chosen ? "recommended" : null;
    }

    /** Whether random crops and mirrored images help this network: the convolutional ones. */
    public static boolean isConvolutional(String text) {
        return text.equals("lenet") || ResNetSpec.isName(text);
    }
}
