// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.pytorch.Tensor;

/** How LNGD sees a layer that may be told which positions of a sequence count. */
interface SequenceForm extends LayerForm {
    /** A batch of inputs with a row for each position. */
    Tensor inputRows(Tensor input);

    /** The same of outputs, or gradients of outputs. */
    Tensor outputRows(Tensor output);
}
