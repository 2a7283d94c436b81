// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.lngd4j.cli.data.ImageShape;
import org.nd4j.linalg.learning.config.IUpdater;

/**
 * Residual networks for small images (He, Zhang, Ren, Sun 2016): a 3x3 convolution, stages of basic
 * blocks (two 3x3 convolutions with batch norm beside a shortcut) of which every stage but the
 * first halves the image, the mean over the image, softmax. Where a block changes the size its
 * shortcut is a 1x1 convolution with batch norm. Convolutions have no bias.
 *
 * @param name as in {@code --model}
 * @param blocks basic blocks of a stage
 * @param widths channels of each stage
 * @param image the input
 * @param classes the outputs
 */
public record ResNetSpec(
        String name, int blocks, List<Integer> widths, ImageShape image, int classes)
        implements ImageModelSpec {
    private record Variant(int blocks, List<Integer> widths) {}

    private static final Map<String, Variant> VARIANTS =
            Map.of(
                    "resnet8", new Variant(1, List.of(16, 32, 64)),
                    "resnet20", new Variant(3, List.of(16, 32, 64)),
                    "resnet18-cifar", new Variant(2, List.of(64, 128, 256, 512)));

    static boolean isName(String text) {
        return VARIANTS.containsKey(text);
    }

    static ResNetSpec named(String name, ImageShape image, int classes) {
        Variant variant = VARIANTS.get(name);
        return new ResNetSpec(name, variant.blocks(), variant.widths(), image, classes);
    }

    @Override
    public boolean reconstructs() {
        return false;
    }

    @Override
    public long parameters() {
        int in = widths.get(0);
        long sum = convolution(3, image.channels(), in);
        for (int out : widths) {
            for (int block = 0; block < blocks; block++) {
                sum += convolution(3, in, out) + convolution(3, out, out);
                sum += in == out ? 0 : convolution(1, in, out);
                in = out;
            }
        }
        return sum + classes * (in + 1L);
    }

    // With the two vectors of its batch norm.
    private static long convolution(int kernel, int in, int out) {
        return (long) kernel * kernel * in * out + 2L * out;
    }

    @Override
    public Dl4jNetwork build(long seed, IUpdater updater) {
        ComputationGraph graph =
                new ComputationGraph(new ResNetGraph(this, seed, updater).configuration());
        graph.init();
        return Dl4jNetwork.of(graph);
    }

    /** For example {@code resnet20 3x32x32 to 10}. */
    @Override
    public String toString() {
        return name + " " + image + " to " + classes;
    }
}
