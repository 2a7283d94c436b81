// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.pytorch.Tensor;
import org.lngd4j.LayerSpec;

/** How LNGD sees the tensors of one kind of layer. Nothing here copies. */
interface LayerForm {
    /** The layer without activation and output model. */
    LayerSpec spec(String name);

    /** Weights or their gradient as the matrix m x d_w that LNGD works on; a view. */
    Tensor matrix(Tensor weights);

    /** Axes of a batch of outputs, the first of which counts samples; there may be more. */
    int axes();

    /** A batch of inputs as {@code lngd_observe} takes it. */
    Tensor inputs(Tensor input);

    /** A batch of outputs, or gradients of outputs, as {@code lngd_observe} takes it. */
    Tensor outputs(Tensor output);

    /**
     * A batch of inputs with a row for each position, for layers that may be told which of them
     * count.
     */
    default Tensor inputRows(Tensor input) {
        throw new UnsupportedOperationException(getClass() + " has no rows to choose from");
    }

    /** The same of outputs. */
    default Tensor outputRows(Tensor output) {
        throw new UnsupportedOperationException(getClass() + " has no rows to choose from");
    }
}
