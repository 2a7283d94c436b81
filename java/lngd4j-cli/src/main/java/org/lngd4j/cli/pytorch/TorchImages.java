// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.cli.model.ImageNetwork;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * A network that learns images. Batches come in ND4J's arrays, as for the other engine, and are
 * used where they lie.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class TorchImages extends TorchNetwork implements ImageNetwork {
    private final TorchModel model;
    private final boolean reconstructs;

    TorchImages(TorchModel model, boolean reconstructs) {
        super(model);
        this.model = model;
        this.reconstructs = reconstructs;
    }

    /** Forward and backward pass; the method takes the step. */
    @Override
    public void fit(INDArray features, INDArray targets) {
        try (PointerScope scope = new PointerScope()) {
            model.train(true);
            Tensor loss =
                    loss(model.forward(ModuleState.tensor(features)), ModuleState.tensor(targets));
            loss.backward();
            score(loss.item_float());
        }
    }

    private Tensor loss(Tensor logits, Tensor targets) {
        return reconstructs
                ? reconstructionLoss(logits, targets)
                : torch.cross_entropy_loss(logits, targets.argmax(new LongOptional(1), false));
    }

    /** Of pixels: the cross-entropy of Bernoulli variables, summed over the image. */
    static Tensor reconstructionLoss(Tensor logits, Tensor targets) {
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
            Tensor logits = model.forward(ModuleState.tensor(features));
            Tensor p = (reconstructs ? logits.sigmoid() : logits.softmax(1)).contiguous();
            INDArray out =
                    Nd4j.createUninitialized(
                            DataType.FLOAT, new long[] {p.size(0), p.size(1)}, 'c');
            Pointer.memcpy(out.data().pointer(), p.data_ptr(), p.numel() * Float.BYTES);
            return out;
        }
    }
}
