// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.Activation;
import org.lngd4j.OutputModel;

/**
 * PyTorch's two-dimensional convolution, trainable by LNGD: stride, padding, dilation and groups as
 * PyTorch has them, images in any memory format. Weights in the channels_last format are not
 * supported yet. Otherwise as {@link LngdLinear}.
 */
public final class LngdConv2d extends Conv2dImpl implements LngdLayer {
    private final LayerCapture capture;

    /**
     * A convolution with bias, stride 1, no padding, one group, initialised as PyTorch does.
     *
     * @param channelsIn channels of the image
     * @param channelsOut channels of the result
     * @param kernel height and width of the kernel
     */
    public LngdConv2d(long channelsIn, long channelsOut, long kernel) {
        this(new Conv2dOptions(channelsIn, channelsOut, new LongPointer(kernel, kernel)));
    }

    /**
     * A convolution with PyTorch's options.
     *
     * @param options sizes, stride, padding, dilation, groups, and whether there is a bias
     */
    public LngdConv2d(Conv2dOptions options) {
        super(options);
        capture = new LayerCapture(this, ConvolutionForm.of(this));
    }

    @Override
    public LngdConv2d activation(Activation activation) {
        capture.activation(activation);
        return this;
    }

    @Override
    public LngdConv2d output(OutputModel model) {
        capture.output(model);
        return this;
    }

    @Override
    public Tensor forward(Tensor input) {
        return capture.seen(input, super.forward(input));
    }
}
