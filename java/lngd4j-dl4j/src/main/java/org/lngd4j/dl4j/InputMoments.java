// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.nn.api.MaskState;
import org.deeplearning4j.nn.conf.InputPreProcessor;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.workspace.LayerWorkspaceMgr;
import org.nd4j.common.primitives.Pair;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Mean and variance of each channel of what goes into a layer, over all rows of all batches, in
 * double precision. Batches are joined by the rule of T. Chan, G. Golub, R. LeVeque (1979): sums of
 * squares about the mean of all, not a difference of large sums.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class InputMoments {
    private final boolean channelsLast;
    private long rows;
    private INDArray mean;
    private INDArray squares; // about the mean, summed

    /**
     * @param channelsLast whether images have their channels in the last axis, else the second
     */
    InputMoments(boolean channelsLast) {
        this.channelsLast = channelsLast;
    }

    void add(INDArray input) {
        int channels = channelsLast && input.rank() == 4 ? 3 : 1;
        int[] others = new int[input.rank() - 1];
        for (int axis = 0, i = 0; axis < input.rank(); axis++) {
            if (axis != channels) {
                others[i++] = axis;
            }
        }
        // Called from DL4J's forward pass, whose workspaces are gone when the next batch comes.
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            join(input, channels, others);
        }
    }

    private void join(INDArray input, int channels, int[] others) {
        INDArray x = input.castTo(DataType.DOUBLE);
        long n = input.length() / input.size(channels);
        INDArray m = x.mean(others);
        INDArray s = x.var(false, others).muli(n);
        if (rows == 0) {
            mean = m;
            squares = s;
        } else {
            INDArray apart = m.subi(mean);
            squares.addi(s).addi(apart.mul(apart).muli((double) rows * n / (rows + n)));
            mean.addi(apart.muli((double) n / (rows + n)));
        }
        rows += n;
    }

    long rows() {
        return rows;
    }

    /** The mean, a vector; after one batch at least. */
    INDArray mean() {
        return mean;
    }

    /** The variance over all rows, not corrected for their number, as DL4J has it. */
    INDArray variance() {
        return squares.div(rows);
    }

    /** A preprocessor that looks at what another one gives. */
    InputPreProcessor around(InputPreProcessor before) {
        return new Watch(this, before);
    }

    private record Watch(InputMoments moments, InputPreProcessor before)
            implements InputPreProcessor {
        private static final long serialVersionUID = 1L;

        @Override
        public INDArray preProcess(INDArray input, int batch, LayerWorkspaceMgr workspaces) {
            INDArray x = before == null ? input : before.preProcess(input, batch, workspaces);
            moments.add(x);
            return x;
        }

        @Override
        public INDArray backprop(INDArray output, int batch, LayerWorkspaceMgr workspaces) {
            return before == null ? output : before.backprop(output, batch, workspaces);
        }

        @Override
        public InputPreProcessor clone() {
            return this; // the network that it was made for may copy its configuration
        }

        @Override
        public InputType getOutputType(InputType input) {
            return before == null ? input : before.getOutputType(input);
        }

        @Override
        public Pair<INDArray, MaskState> feedForwardMaskArray(
                INDArray mask, MaskState state, int batch) {
            return before == null
                    ? new Pair<>(mask, state)
                    : before.feedForwardMaskArray(mask, state, batch);
        }
    }
}
