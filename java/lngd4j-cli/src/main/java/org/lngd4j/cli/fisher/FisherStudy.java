// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.fisher;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.Device;
import org.lngd4j.LngdOptions;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.data.Dataset;
import org.lngd4j.cli.data.LabelledImages;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.lngd4j.cli.model.MlpSpec;
import org.lngd4j.dl4j.Lngd;
import org.lngd4j.dl4j.LngdTraining;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.NoOp;

/** Trains a small perceptron on shrunk images and takes the blocks of one of its layers. */
final class FisherStudy {
    private static final int BATCH = 128;
    // Of d m; the matrices are squares of it, five of them in double.
    private static final int MOST_WEIGHTS = 1500;

    private final Dataset data;
    private final int shrink;
    private final List<Integer> hidden;
    private final int layer;
    private final long seed;

    /**
     * @param shrink every square of so many pixels becomes their mean
     * @param layer counted from 1
     */
    FisherStudy(Dataset data, int shrink, List<Integer> hidden, int layer, long seed) {
        this.data = data;
        this.shrink = shrink;
        this.hidden = hidden;
        this.layer = layer;
        this.seed = seed;
        int height = data.training().shape().height();
        int width = data.training().shape().width();
        if (shrink < 1 || height % shrink != 0 || width % shrink != 0) {
            throw CliException.badInput(
                    "--shrink " + shrink + ": must divide the images, " + height + "x" + width);
        }
        if (data.classes() == Dataset.NO_CLASSES) {
            throw CliException.badInput("--data: images with classes are needed");
        }
        if (layer < 1 || layer > hidden.size() + 1) {
            throw CliException.badInput(
                    "--layer " + layer + ": must be 1 to " + (hidden.size() + 1));
        }
        long weights = (long) (widths().get(layer - 1) + 1) * widths().get(layer);
        if (weights > MOST_WEIGHTS) {
            throw CliException.badInput(
                    "--layer "
                            + layer
                            + ": it has "
                            + weights
                            + " weights, whose Fisher matrix is too large to look at; at most "
                            + MOST_WEIGHTS);
        }
    }

    /** Of all layers, from the pixels to the classes. */
    List<Integer> widths() {
        List<Integer> widths = new ArrayList<>();
        widths.add(data.training().features() / (shrink * shrink));
        widths.addAll(hidden);
        widths.add(data.classes());
        return widths;
    }

    /** How the network stands, and its blocks. */
    record Result(double accuracy, FisherBlocks blocks) {}

    Result run(int steps, int samples) {
        MlpSpec spec = new MlpSpec(widths());
        // All of it is LNGD's: nothing falls back to an updater.
        Dl4jNetwork net = spec.build(seed, new NoOp());
        MultiLayerNetwork model = ((Dl4jNetwork.Chain) net).model();
        if (steps > 0) {
            train(net, model, steps);
        }
        SmallNet small = SmallNet.of(model);
        List<double[]> rows = rows(data.test(), samples);
        int right = 0;
        for (int n = 0; n < rows.size(); n++) {
            double[] p = small.forward(rows.get(n)).probabilities();
            int best = 0;
            for (int y = 1; y < p.length; y++) {
                best = p[y] > p[best] ? y : best;
            }
            right += best == data.test().label(n) ? 1 : 0;
        }
        return new Result((double) right / rows.size(), FisherBlocks.of(small, layer - 1, rows));
    }

    @SuppressWarnings("try") // an attachment that is only opened and closed
    private void train(Dl4jNetwork net, MultiLayerNetwork model, int steps) {
        LabelledImages images = data.training();
        Random random = new Random(seed);
        LngdOptions options = LngdOptions.recipe(steps).device(Device.CPU).threads(1).build();
        try (LngdTraining training = Lngd.attach(model, options)) {
            for (int step = 0; step < steps; step++) {
                float[][] features = new float[BATCH][];
                float[][] targets = new float[BATCH][data.classes()];
                for (int n = 0; n < BATCH; n++) {
                    int image = random.nextInt(images.count());
                    features[n] = floats(shrunk(images, image));
                    targets[n][images.label(image)] = 1;
                }
                INDArray x = Nd4j.createFromArray(features);
                net.fit(x, Nd4j.createFromArray(targets));
            }
        }
    }

    private List<double[]> rows(LabelledImages images, int samples) {
        List<double[]> rows = new ArrayList<>();
        for (int image = 0; image < Math.min(samples, images.count()); image++) {
            rows.add(shrunk(images, image));
        }
        return rows;
    }

    /** Means of squares of pixels, 0 to 1. */
    private double[] shrunk(LabelledImages images, int image) {
        int height = images.shape().height() / shrink;
        int width = images.shape().width() / shrink;
        double[] small = new double[images.features() / (shrink * shrink)];
        double share = 1.0 / (255.0 * shrink * shrink);
        int at = image * images.features();
        for (int c = 0; c < images.shape().channels(); c++) {
            for (int y = 0; y < height * shrink; y++) {
                for (int x = 0; x < width * shrink; x++) {
                    small[(c * height + y / shrink) * width + x / shrink] +=
                            share * (images.pixels()[at++] & 0xff);
                }
            }
        }
        return small;
    }

    private static float[] floats(double[] values) {
        float[] result = new float[values.length];
        for (int i = 0; i < result.length; i++) {
            result[i] = (float) values[i];
        }
        return result;
    }
}
