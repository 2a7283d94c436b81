// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LinearOptions;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.Activation;
import org.lngd4j.LayerOptions;
import org.lngd4j.OutputModel;

/**
 * PyTorch's fully connected layer y = x W^T + b, trainable by LNGD. Inputs are N x d or N x T x d
 * float32; with more than one axis before the last each of their elements counts as a sample.
 *
 * <p>Where sequences are padded, {@link #forward(Tensor, Tensor)} keeps the padding out of the
 * statistics.
 *
 * <p>It computes what {@code LinearImpl} computes, to the bit. While LNGD is attached, and only in
 * forward passes before a step that takes statistics, it also keeps a copy of a few rows of its
 * input. For that its {@link #forward} has to be called from Java: a container of PyTorch's own,
 * such as {@code SequentialImpl}, calls the C++ method and passes it by, which {@link
 * LngdTorch#report()} tells.
 *
 * <p>Not thread-safe, as all modules.
 */
public final class LngdLinear extends LinearImpl implements LngdLayer {
    private final LayerCapture capture;

    /**
     * A layer with bias, initialised as PyTorch does.
     *
     * @param inputs d, at least 1
     * @param outputs m, at least 1
     */
    public LngdLinear(long inputs, long outputs) {
        super(inputs, outputs);
        capture = new LayerCapture(this, new LinearForm(this));
    }

    /**
     * A layer with PyTorch's options.
     *
     * @param options sizes, and whether there is a bias
     */
    public LngdLinear(LinearOptions options) {
        super(options);
        capture = new LayerCapture(this, new LinearForm(this));
    }

    @Override
    public LngdLinear activation(Activation activation) {
        capture.activation(activation);
        return this;
    }

    @Override
    public LngdLinear output(OutputModel model) {
        capture.output(model);
        return this;
    }

    @Override
    public LngdLinear lngdOptions(LayerOptions options) {
        capture.options(options);
        return this;
    }

    @Override
    public Tensor forward(Tensor input) {
        return capture.seen(input, super.forward(input));
    }

    /**
     * The same for sequences that are padded: every row is computed, but those of the padding stay
     * out of the statistics, as if they were not there. The loss must not depend on them.
     *
     * @param input N x T x d
     * @param rows N x T, of PyTorch's type bool: false where there is padding; null: nowhere
     * @return N x T x m
     * @throws org.lngd4j.nativelib.LngdArgumentException if {@code rows} is of another type or
     *     shape
     */
    public Tensor forward(Tensor input, Tensor rows) {
        return capture.seen(input, rows, super.forward(input));
    }
}
