// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.cli.data.Batches;
import org.lngd4j.cli.data.LabelledImages;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Loss and accuracy of a network on a set of images, in a few large forward passes. */
final class Evaluation {
    private static final int ROWS = 2000;

    private final LabelledImages images;
    private final List<INDArray> chunks = new ArrayList<>();

    Evaluation(LabelledImages images) {
        this.images = images;
        for (int from = 0; from < images.count(); from += ROWS) {
            chunks.add(Batches.toFeatures(images, from, Math.min(ROWS, images.count() - from)));
        }
    }

    /**
     * What was measured.
     *
     * @param loss mean cross-entropy in nats; NaN where the network gives NaN
     * @param accuracy share of images whose largest output is their class, 0 to 1
     */
    record Result(double loss, double accuracy) {}

    Result measure(MultiLayerNetwork net) {
        double loss = 0;
        int right = 0;
        int image = 0;
        for (INDArray chunk : chunks) {
            INDArray out = net.output(chunk, false).dup('c');
            FloatBuffer p = out.data().asNioFloat();
            int classes = (int) out.size(1);
            for (int row = 0; row < out.size(0); row++, image++) {
                int label = images.label(image);
                // A probability may underflow to 0 in float; the smallest normal number keeps the
                // mean finite.
                loss -= Math.log(Math.max(p.get(row * classes + label), Float.MIN_NORMAL));
                if (largest(p, row * classes, classes) == label) {
                    right++;
                }
            }
            out.close();
        }
        return new Result(loss / images.count(), (double) right / images.count());
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
