// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.pytorch.EmbeddingImpl;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.LayerSpec;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * An embedding: PyTorch has a row for an index, LNGD a column, so the matrix m x d_w is the
 * transpose of the weights, on the same memory. Indices are handed over as float32, which has all
 * whole numbers up to 2^24, the largest vocabulary.
 */
record EmbeddingForm(EmbeddingImpl layer) implements SequenceForm {
    private static final int WITH_POSITIONS = 3; // axes of the output

    @Override
    public LayerSpec spec(String name) {
        if (layer.options().sparse().get()) {
            throw new LngdArgumentException(
                    name + ": sparse gradients (options.sparse) are set, allowed are dense ones");
        }
        Tensor w = layer.weight();
        return LayerSpec.embedding(name, w.size(0), w.size(1));
    }

    @Override
    public Tensor matrix(Tensor weights) {
        return weights.t();
    }

    @Override
    public int axes() {
        return 2;
    }

    /** N x T, or N. */
    @Override
    public Tensor inputs(Tensor indices) {
        Tensor two = indices.dim() > 2 ? indices.flatten(1, -1) : indices;
        return two.to(torch.ScalarType.Float);
    }

    /** N x T x m to N x m x T; N x m as it is. */
    @Override
    public Tensor outputs(Tensor vectors) {
        Tensor three = vectors.dim() > WITH_POSITIONS ? vectors.flatten(1, -2) : vectors;
        return three.dim() == WITH_POSITIONS ? three.transpose(1, 2) : three;
    }

    @Override
    public Tensor inputRows(Tensor indices) {
        return indices.reshape(-1).to(torch.ScalarType.Float);
    }

    @Override
    public Tensor outputRows(Tensor vectors) {
        return vectors.reshape(-1, vectors.size(vectors.dim() - 1));
    }
}
