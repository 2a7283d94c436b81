// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.dataset.api.iterator.MultiDataSetIterator;

/** Whether the averaged weights of an attachment are in its network, and how they come there. */
final class Averages {
    private final Attachment attachment;
    private AveragedWeights averaged; // while they are in the network
    private BatchNormEstimates estimates; // none, or those under the present averages

    Averages(Attachment attachment) {
        this.attachment = attachment;
    }

    void checkNotSwapped(String what) {
        if (averaged != null) {
            throw new LngdStateException(
                    "the network holds averaged weights: close AveragedWeights before " + what);
        }
    }

    boolean swapped() {
        return averaged != null;
    }

    /** Puts them into the network; {@code of} is what the handle belongs to. */
    AveragedWeights swapIn(LngdTraining of) {
        boolean active = attachment.steps() > 0 && exchange();
        averaged = new AveragedWeights(of, active);
        return averaged;
    }

    void release(AveragedWeights weights) {
        if (averaged == weights) {
            averaged = null;
            if (weights.active()) {
                exchange();
            }
        }
    }

    private boolean exchange() {
        boolean swapped = attachment.lngdUpdate().swapAverages();
        if (estimates != null) {
            estimates.exchange();
        }
        return swapped;
    }

    /** Statistics of batch normalisation under the averages; tells of how many layers. */
    int reestimate(MultiDataSetIterator data, int batches) {
        if (attachment.steps() == 0) {
            throw new LngdStateException("no step was taken yet: there are no averaged weights");
        }
        boolean in = swapped() && averaged.active();
        if (!in) {
            exchange();
        }
        BatchNormEstimates fresh;
        try {
            fresh = BatchNormEstimates.of(attachment.net(), data, batches);
        } finally {
            if (!in) {
                exchange();
            }
        }
        if (in && estimates != null) {
            estimates.exchange(); // the statistics of the training back
        }
        estimates = fresh;
        if (in) {
            estimates.exchange();
        }
        return estimates.layers();
    }

    /** The averages have changed. */
    void stale() {
        estimates = null;
    }

    /** Leaves the averages in the network, or the weights of the training. */
    void close(boolean leave) {
        if (averaged != null && !leave) {
            averaged.close();
        } else if (averaged == null && leave && attachment.steps() > 0) {
            exchange();
        }
    }

    void forget() {
        averaged = null;
    }
}
