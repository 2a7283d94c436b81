// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.pytorch.Tensor;

/**
 * What one layer saw in one forward pass. Tensors are held by a reference count of our own, so that
 * neither the end of the caller's {@code PointerScope} nor the garbage collector decides how long
 * they live.
 */
final class Sighting {
    private final int layer;
    private final LayerCapture capture;
    private final Tensor rows; // which positions count; null: all
    private Tensor inputs; // the batch; after sampling, a copy of the first samples
    private Tensor output; // the layer's own result, of which the model got a copy
    private long positions = 1; // rows of a sample, padding too
    private Tensor signal; // what is observed with the inputs; null: not known yet
    private Tensor witness; // has a gradient once the backward pass has come by

    Sighting(int layer, LayerCapture capture, Tensor inputs, Tensor rows, Tensor output) {
        this.layer = layer;
        this.capture = capture;
        this.rows = rows == null ? null : keep(new Tensor(rows));
        this.inputs = keep(inputs);
        this.output = keep(output);
    }

    private static Tensor keep(Tensor t) {
        t.retainReference();
        return t;
    }

    private static void drop(Tensor t) {
        if (t != null) {
            t.releaseReference();
        }
    }

    int layer() {
        return layer;
    }

    LayerCapture capture() {
        return capture;
    }

    Tensor inputs() {
        return inputs;
    }

    Tensor output() {
        return output;
    }

    /** What the statistics are made of; null where this pass has not given it. */
    Tensor signal() {
        return signal;
    }

    /** Rows of the whole batch that count. */
    long rowCount() {
        return rows == null ? capture.form().outputs(output.detach()).size(0) : RowMask.count(rows);
    }

    /** The rows that count of the first samples of a batch of outputs. */
    Tensor outputRows(Tensor first) {
        return rows == null
                ? capture.form().outputs(first)
                : sequence()
                        .outputRows(first)
                        .index_select(0, RowMask.indices(rows, first.size(0)));
    }

    /** Writes rows that {@link #outputRows} gave back to where they came from. */
    void putOutputRows(Tensor first, Tensor values) {
        if (rows == null) {
            capture.form().outputs(first).copy_(values);
        } else {
            Tensor indices = RowMask.indices(rows, first.size(0));
            sequence().outputRows(first).index_copy_(0, indices, values);
        }
    }

    /** Only such layers take a mask. */
    private SequenceForm sequence() {
        return (SequenceForm) capture.form();
    }

    private Tensor inputRows(Tensor first) {
        return rows == null
                ? capture.form().inputs(first)
                : sequence().inputRows(first).index_select(0, RowMask.indices(rows, first.size(0)));
    }

    /**
     * Copies the first {@code samples} of the inputs, and keeps the signal that goes with them.
     *
     * @param ofOutputs the rows of those samples that count; where there are none, nothing was seen
     */
    void observed(long samples, Tensor ofOutputs) {
        if (ofOutputs.size(0) == 0) {
            return;
        }
        Tensor all = inputs;
        positions = capture.form().inputs(all.detach()).size(0) / all.size(0);
        inputs = keep(inputRows(all.detach().narrow(0, 0, samples)).clone());
        drop(all);
        signal = keep(ofOutputs);
    }

    /** From now on only the witness tells of the pass; the graph above the output may go. */
    void witnessedBy(Tensor tensor) {
        witness = keep(tensor);
        drop(output);
        output = null;
    }

    /** Rows that a sample has in the inputs, whether they count or not. */
    long positions() {
        return positions;
    }

    /** Samples that were kept; 0 where they are not chosen yet. */
    long samples() {
        return signal == null ? 0 : inputs.size(0);
    }

    /** Whether a backward pass came by. */
    boolean passedBackward() {
        return witness != null && witness.mutable_grad().defined();
    }

    void close() {
        drop(rows);
        drop(inputs);
        drop(output);
        drop(signal);
        drop(witness);
        inputs = null;
        output = null;
        signal = null;
        witness = null;
    }
}
