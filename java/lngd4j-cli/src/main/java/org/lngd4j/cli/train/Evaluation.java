// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import org.lngd4j.cli.data.Dataset;
import org.lngd4j.cli.data.ImageShape;
import org.lngd4j.cli.data.Intensities;
import org.lngd4j.cli.data.LabelledImages;
import org.lngd4j.cli.model.ImageNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Loss and accuracy of a network on the test set, in a few large forward passes: cross-entropy and
 * the share of right classes; or for an autoencoder the cross-entropy summed over the pixels, and
 * no accuracy.
 */
final class Evaluation {
    // Numbers of a chunk: 2000 images of 28x28. The activations of a convolutional network are some
    // ten times its input.
    private static final int CHUNK = 2000 * 28 * 28;
    private static final int LEAST_ROWS = 100;
    // DL4J's own clip of a sigmoid's output: the loss is finite where a float has rounded to 0 or
    // 1.
    private static final double CLIP = 1e-5;

    private final LabelledImages images;
    private final boolean reconstruct;
    private final List<INDArray> chunks = new ArrayList<>();

    /**
     * @param reconstruct whether the images are the targets
     * @param convolutional whether the network is, so that its chunks have to be smaller
     */
    Evaluation(Dataset data, boolean reconstruct, boolean convolutional) {
        this.images = data.test();
        this.reconstruct = reconstruct;
        Intensities intensities = Intensities.of(data.training());
        ImageShape shape = images.shape();
        int fitting = CHUNK / shape.features() / (convolutional ? 10 : 1);
        int rows = Math.max(LEAST_ROWS, fitting);
        for (int from = 0; from < images.count(); from += rows) {
            int count = Math.min(rows, images.count() - from);
            chunks.add(intensities.toFeatures(images, from, count));
        }
    }

    Measurement measure(ImageNetwork net) {
        double loss = 0;
        int right = 0;
        int image = 0;
        for (INDArray chunk : chunks) {
            INDArray out = net.output(chunk).dup('c');
            FloatBuffer p = out.data().asNioFloat();
            if (reconstruct) {
                loss += bernoulli(chunk.data().asNioFloat(), p, (int) out.length());
            } else {
                int classes = (int) out.size(1);
                for (int row = 0; row < out.size(0); row++, image++) {
                    int label = images.label(image);
                    // A probability may underflow to 0 in float; the smallest normal number keeps
                    // the mean finite.
                    loss -= Math.log(Math.max(p.get(row * classes + label), Float.MIN_NORMAL));
                    if (largest(p, row * classes, classes) == label) {
                        right++;
                    }
                }
            }
            out.close();
        }
        double accuracy = reconstruct ? Double.NaN : (double) right / images.count();
        return Measurement.ofImages(loss / images.count(), accuracy);
    }

    // - sum x log p + (1 - x) log(1 - p)
    private static double bernoulli(FloatBuffer x, FloatBuffer p, int length) {
        double sum = 0;
        for (int k = 0; k < length; k++) {
            double q = Math.min(1 - CLIP, Math.max(CLIP, p.get(k)));
            sum -= x.get(k) * Math.log(q) + (1 - x.get(k)) * Math.log1p(-q);
        }
        return sum;
    }

    private static int largest(FloatBuffer p, int start, int classes) {
        int best = 0;
        for (int k = 1; k < classes; k++) {
            if (p.get(start + k) > p.get(start + best)) {
                best = k;
            }
        }
        return best;
    }
}
