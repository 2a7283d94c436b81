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
}
