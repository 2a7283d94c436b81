// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.List;
import java.util.stream.Collectors;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.CNN2DFormat;
import org.deeplearning4j.nn.conf.ConvolutionMode;
import org.deeplearning4j.nn.conf.RNNFormat;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.layers.convolution.Convolution1DLayer;
import org.deeplearning4j.nn.layers.convolution.DepthwiseConvolution2DLayer;
import org.lngd4j.Convolution;
import org.lngd4j.LayerSpec;

/** The convolutions of DL4J that LNGD trains: their geometry, and how their arrays lie. */
final class ConvolutionChoices {
    private static final int LARGEST_KERNEL = 65_535;

    private ConvolutionChoices() {}

    /** By exact class: a subclass (deconvolution, separable, 3-D) computes something else. */
    static boolean knows(Layer layer) {
        Class<?> type = layer.getClass();
        return type == org.deeplearning4j.nn.layers.convolution.ConvolutionLayer.class
                || type == Convolution1DLayer.class
                || type == DepthwiseConvolution2DLayer.class;
    }

    /** Why a convolution is not trained by LNGD; null if it is. */
    static String problem(Layer layer) {
        ConvolutionLayer conf = (ConvolutionLayer) layer.conf().getLayer();
        if (layer instanceof Convolution1DLayer) {
            return sequenceProblem((org.deeplearning4j.nn.conf.layers.Convolution1DLayer) conf);
        }
        return conf.getConvolutionMode() == ConvolutionMode.Causal
                ? "causal padding is for 1-D convolutions"
                : null;
    }

    private static String sequenceProblem(
            org.deeplearning4j.nn.conf.layers.Convolution1DLayer conf) {
        if (conf.getRnnDataFormat() == RNNFormat.NWC) {
            return "DL4J itself cannot back-propagate through a 1-D convolution on NWC";
        }
        if (conf.getConvolutionMode() == ConvolutionMode.Same && conf.getStride()[0] != 1) {
            return "with a stride, the padding of mode Same depends on the length of the sequence";
        }
        return conf.getNIn() > LARGEST_KERNEL
                ? "more than " + LARGEST_KERNEL + " channels of a sequence"
                : null;
    }

    static LayerSpec spec(String name, Layer layer) {
        ConvolutionLayer conf = (ConvolutionLayer) layer.conf().getLayer();
        if (layer instanceof Convolution1DLayer) {
            return sequence(name, conf);
        }
        LayerSpec spec =
                LayerSpec.convolution(
                                name, conf.getNIn(), outputs(layer, conf), conf.getKernelSize())
                        .stride(conf.getStride())
                        .dilation(conf.getDilation())
                        .bias(conf.hasBias());
        if (layer instanceof DepthwiseConvolution2DLayer) {
            spec = spec.groups(Math.toIntExact(conf.getNIn()));
        }
        if (conf.getConvolutionMode() == ConvolutionMode.Same) {
            return spec.same();
        }
        return spec.padding(conf.getPadding());
    }

    /** An image of one channel, as {@link ArrayForm#SEQUENCE_CONVOLUTION} has it. */
    private static LayerSpec sequence(String name, ConvolutionLayer conf) {
        int kernel = conf.getKernelSize()[0];
        int reach = conf.getDilation()[0] * (kernel - 1);
        int before;
        int after;
        switch (conf.getConvolutionMode()) {
            case Same -> { // with stride 1, whatever the length
                before = reach / 2;
                after = reach - before;
            }
            case Causal -> {
                before = reach;
                after = 0;
            }
            default -> {
                before = conf.getPadding()[0];
                after = before;
            }
        }
        return LayerSpec.convolution(
                        name, 1, conf.getNOut(), kernel, Math.toIntExact(conf.getNIn()))
                .stride(conf.getStride()[0], 1)
                .dilation(conf.getDilation()[0], 1)
                .padding(new int[] {before, 0}, new int[] {after, 0})
                .bias(conf.hasBias());
    }

    /** For example 3x3 on 16, or 3 on 16 for a sequence. */
    static String size(LayerSpec spec, ArrayForm form) {
        List<Convolution.Axis> axes = spec.convolution().axes();
        return form == ArrayForm.SEQUENCE_CONVOLUTION
                ? axes.get(0).kernel() + " on " + axes.get(1).kernel()
                : axes.stream()
                                .map(a -> Integer.toString(a.kernel()))
                                .collect(Collectors.joining("x"))
                        + " on "
                        + spec.inputs();
    }

    static ArrayForm form(Layer layer) {
        if (layer instanceof Convolution1DLayer) {
            return ArrayForm.SEQUENCE_CONVOLUTION;
        }
        ConvolutionLayer conf = (ConvolutionLayer) layer.conf().getLayer();
        boolean last = conf.getCnn2dDataFormat() == CNN2DFormat.NHWC;
        if (layer instanceof DepthwiseConvolution2DLayer) {
            return last ? ArrayForm.DEPTHWISE_LAST : ArrayForm.DEPTHWISE_FIRST;
        }
        return last ? ArrayForm.CHANNELS_LAST : ArrayForm.CHANNELS_FIRST;
    }

    private static long outputs(Layer layer, ConvolutionLayer conf) {
        return layer instanceof DepthwiseConvolution2DLayer
                ? conf.getNIn()
                        * ((org.deeplearning4j.nn.conf.layers.DepthwiseConvolution2D) conf)
                                .getDepthMultiplier()
                : conf.getNOut();
    }
}
