// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import org.nd4j.linalg.api.ndarray.INDArray;

/** A network that learns images. */
public interface ImageNetwork extends Network {
    /** One training step: of PyTorch forward and backward pass, of DL4J the update too. */
    void fit(INDArray features, INDArray targets);

    /** The output in inference mode: probabilities. */
    INDArray output(INDArray features);
}
