// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.cli.model.Network;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * A module of PyTorch as the command trains it. Batches come in ND4J's arrays, as for the other
 * engine, and are used where they lie.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class TorchNetwork implements Network {
    private final TorchModel model;
    private final boolean reconstructs;
    private double score;

    TorchNetwork(TorchModel model, boolean reconstructs) {
        this.model = model;
        this.reconstructs = reconstructs;
    }

    TorchModel model() {
        return model;
    }

    /** Forward and backward pass; the method takes the step. */
    @Override
    public void fit(INDArray features, INDArray targets) {
        try (PointerScope scope = new PointerScope()) {
            model.train(true);
            Tensor loss = loss(model.forward(tensor(features)), tensor(targets));
            loss.backward();
            score = loss.item_float();
        }
    }

    /** Cross-entropy; of pixels that of a Bernoulli variable, summed over the image. */
    private Tensor loss(Tensor logits, Tensor targets) {
        if (!reconstructs) {
            return torch.cross_entropy_loss(logits, targets.argmax(new LongOptional(1), false));
        }
        Tensor sum =
                torch.binary_cross_entropy_with_logits(
                        logits,
                        targets,
                        new TensorOptional(),
                        new TensorOptional(),
                        torch.Reduction.Sum.value);
        return sum.div(new org.bytedeco.pytorch.Scalar((double) logits.size(0)));
    }

    @Override
    public INDArray output(INDArray features) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            model.train(false);
            Tensor logits = model.forward(tensor(features));
            Tensor p = (reconstructs ? logits.sigmoid() : logits.softmax(1)).contiguous();
            INDArray out =
                    Nd4j.createUninitialized(
                            DataType.FLOAT, new long[] {p.size(0), p.size(1)}, 'c');
            Pointer.memcpy(out.data().pointer(), p.data_ptr(), p.numel() * Float.BYTES);
            return out;
        }
    }

    /** The memory of an array in 'c' order. */
    static Tensor tensor(INDArray array) {
        FloatPointer data = new FloatPointer(array.data().pointer()).position(array.offset());
        return torch.from_blob(data, array.shape());
    }

    @Override
    public void setEpochCount(int epoch) {
        // No schedule here goes by epochs.
    }

    @Override
    public void setIterationCount(int step) {
        // The method counts.
    }

    @Override
    public INDArray params() {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            TensorVector state = state();
            long count = 0;
            for (long i = 0; i < state.size(); i++) {
                count += state.get(i).numel();
            }
            INDArray all = Nd4j.createUninitialized(DataType.FLOAT, new long[] {1, count}, 'c');
            long at = 0;
            for (long i = 0; i < state.size(); i++) {
                Tensor t = state.get(i);
                tensor(all).view(-1).narrow(0, at, t.numel()).copy_(t.reshape(-1));
                at += t.numel();
            }
            return all;
        }
    }

    @Override
    public void setParams(INDArray values) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            TensorVector state = state();
            Tensor all = tensor(values).view(-1);
            long at = 0;
            for (long i = 0; i < state.size(); i++) {
                Tensor t = state.get(i);
                t.copy_(all.narrow(0, at, t.numel()).view(t.sizes()));
                at += t.numel();
            }
        }
    }

    /**
     * Parameters, then buffers of floats: the running statistics of batch norm, not its counter.
     */
    private TensorVector state() {
        TensorVector all = new TensorVector();
        for (TensorVector some : new TensorVector[] {model.parameters(), model.buffers()}) {
            for (long i = 0; i < some.size(); i++) {
                if (some.get(i).is_floating_point()) {
                    all.push_back(some.get(i));
                }
            }
        }
        return all;
    }

    @Override
    public double score() {
        return score;
    }
}
