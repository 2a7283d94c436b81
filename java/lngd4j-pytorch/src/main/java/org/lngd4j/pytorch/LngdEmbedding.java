// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.pytorch.EmbeddingImpl;
import org.bytedeco.pytorch.EmbeddingOptions;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.Activation;
import org.lngd4j.LayerOptions;
import org.lngd4j.OutputModel;

/**
 * PyTorch's table of vectors, trainable by LNGD with the approximations that have embeddings
 * ({@link org.lngd4j.Approximation#hasEmbeddings}). Inputs are indices N or N x T; gradients have
 * to be dense. Otherwise as {@link LngdLinear}.
 */
public final class LngdEmbedding extends EmbeddingImpl implements LngdLayer {
    private final LayerCapture capture;

    /**
     * A table, initialised as PyTorch does.
     *
     * @param vocabulary how many indices there are
     * @param outputs length of a vector
     */
    public LngdEmbedding(long vocabulary, long outputs) {
        this(new EmbeddingOptions(vocabulary, outputs));
    }

    /**
     * A table with PyTorch's options.
     *
     * @param options sizes, index of the padding
     */
    public LngdEmbedding(EmbeddingOptions options) {
        super(options);
        capture = new LayerCapture(this, new EmbeddingForm(this));
        capture.activation(Activation.IDENTITY);
    }

    @Override
    public LngdEmbedding activation(Activation activation) {
        capture.activation(activation);
        return this;
    }

    @Override
    public LngdEmbedding output(OutputModel model) {
        capture.output(model);
        return this;
    }

    @Override
    public LngdEmbedding lngdOptions(LayerOptions options) {
        capture.options(options);
        return this;
    }

    /** An embedding has none. */
    @Override
    public Tensor bias() {
        return new Tensor();
    }

    @Override
    public Tensor forward(Tensor indices) {
        return capture.seen(indices, super.forward(indices));
    }

    /**
     * The same for sequences that are padded, as {@link LngdLinear#forward(Tensor, Tensor)}.
     *
     * @param indices N x T
     * @param rows N x T, of PyTorch's type bool: false where there is padding; null: nowhere
     * @return N x T x m
     * @throws org.lngd4j.nativelib.LngdArgumentException if {@code rows} is of another type or
     *     shape
     */
    public Tensor forward(Tensor indices, Tensor rows) {
        return capture.seen(indices, rows, super.forward(indices));
    }
}
