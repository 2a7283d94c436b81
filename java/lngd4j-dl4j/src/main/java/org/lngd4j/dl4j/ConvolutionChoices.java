// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.CNN2DFormat;
import org.deeplearning4j.nn.conf.ConvolutionMode;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.layers.convolution.Convolution1DLayer;
import org.deeplearning4j.nn.layers.convolution.DepthwiseConvolution2DLayer;
import org.lngd4j.LayerSpec;

/** The convolutions of DL4J that LNGD trains: their geometry, and how their arrays lie. */
final class ConvolutionChoices {
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
        if (conf.getConvolutionMode() == ConvolutionMode.Causal) {
            return "causal padding is for 1-D convolutions";
        }
        return layer instanceof Convolution1DLayer
                ? "DL4J keeps the weights of a 1-D convolution by kernel element and channel, and no view"
                        + " of them is by channel and kernel element"
                : null;
    }

    static LayerSpec spec(String name, Layer layer) {
        ConvolutionLayer conf = (ConvolutionLayer) layer.conf().getLayer();
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

    static ArrayForm form(Layer layer) {
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
