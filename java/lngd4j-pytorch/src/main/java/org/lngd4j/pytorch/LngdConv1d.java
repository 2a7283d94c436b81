// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv1dImpl;
import org.bytedeco.pytorch.Conv1dOptions;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.Activation;
import org.lngd4j.LayerOptions;
import org.lngd4j.OutputModel;

/**
 * PyTorch's one-dimensional convolution, trainable by LNGD: stride, padding, dilation and groups as
 * PyTorch has them, sequences in any memory order. Otherwise as {@link LngdLinear}.
 */
public final class LngdConv1d extends Conv1dImpl implements LngdLayer {
    private final LayerCapture capture;

    /**
     * A convolution with bias, stride 1, no padding, one group, initialised as PyTorch does.
     *
     * @param channelsIn channels of the sequence
     * @param channelsOut channels of the result
     * @param kernel length of the kernel
     */
    public LngdConv1d(long channelsIn, long channelsOut, long kernel) {
        this(new Conv1dOptions(channelsIn, channelsOut, new LongPointer(new long[] {kernel})));
    }

    /**
     * A convolution with PyTorch's options.
     *
     * @param options sizes, stride, padding, dilation, groups, and whether there is a bias
     */
    public LngdConv1d(Conv1dOptions options) {
        super(options);
        capture = new LayerCapture(this, ConvolutionForm.of(this));
    }

    @Override
    public LngdConv1d activation(Activation activation) {
        capture.activation(activation);
        return this;
    }

    @Override
    public LngdConv1d output(OutputModel model) {
        capture.output(model);
        return this;
    }

    @Override
    public LngdConv1d lngdOptions(LayerOptions options) {
        capture.options(options);
        return this;
    }

    @Override
    public Tensor forward(Tensor input) {
        return capture.seen(input, super.forward(input));
    }
}
