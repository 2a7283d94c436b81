// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

/**
 * The averaged weights are in the model as long as this is open: evaluate it, save it, then close.
 * Weights and averages are exchanged, so the weights come back to the bit.
 */
public final class AveragedWeights implements AutoCloseable {
    private final TorchAttachment attachment;

    AveragedWeights(TorchAttachment attachment) {
        this.attachment = attachment;
    }

    /** Puts the weights of the training back. A second call does nothing. */
    @Override
    public void close() {
        attachment.release(this);
    }
}
