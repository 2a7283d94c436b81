// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.CNN2DFormat;
import org.deeplearning4j.nn.conf.ConvolutionMode;
import org.deeplearning4j.nn.conf.RNNFormat;
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
        if (layer instanceof Convolution1DLayer
                && ((org.deeplearning4j.nn.conf.layers.Convolution1DLayer) conf).getRnnDataFormat()
                        == RNNFormat.NWC) {
            return "DL4J's 1-D convolution on NWC gives its activations in a mixed order";
        }
        return null;
    }

    static LayerSpec spec(String name, Layer layer) {
        ConvolutionLayer conf = (ConvolutionLayer) layer.conf().getLayer();
        boolean one = layer instanceof Convolution1DLayer;
        int[] kernel = axes(conf.getKernelSize(), one);
        LayerSpec spec =
                LayerSpec.convolution(name, conf.getNIn(), outputs(layer, conf), kernel)
                        .stride(axes(conf.getStride(), one))
                        .dilation(axes(conf.getDilation(), one))
                        .bias(conf.hasBias());
        if (layer instanceof DepthwiseConvolution2DLayer) {
            spec = spec.groups(Math.toIntExact(conf.getNIn()));
        }
        if (conf.getConvolutionMode() == ConvolutionMode.Same) {
            return spec.same();
        }
        if (conf.getConvolutionMode() == ConvolutionMode.Causal) {
            int before = axes(conf.getDilation(), one)[0] * (kernel[0] - 1);
            return spec.padding(new int[] {before}, new int[] {0});
        }
        return spec.padding(axes(conf.getPadding(), one));
    }

    static ArrayForm form(Layer layer) {
        ConvolutionLayer conf = (ConvolutionLayer) layer.conf().getLayer();
        boolean last =
                !(layer instanceof Convolution1DLayer)
                        && conf.getCnn2dDataFormat() == CNN2DFormat.NHWC;
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

    private static int[] axes(int[] values, boolean one) {
        return one ? new int[] {values[0]} : values.clone();
    }
}
