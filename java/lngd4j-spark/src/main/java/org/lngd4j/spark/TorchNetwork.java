// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.Serializable;
import java.util.List;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.pytorch.LngdTorch;

/**
 * What is trained: a PyTorch module, and its loss. Spark sends this object to the executors, so it
 * holds sizes and names, not tensors. {@link #create} and {@link #loss} run there, in the tasks.
 *
 * <pre>{@code
 * final class Digits implements TorchNetwork<Mlp, Row> {
 *     public Mlp create() {
 *         return new Mlp(); // of LngdLinear, LngdConv2d, ...
 *     }
 *
 *     public Tensor loss(Mlp model, List<Row> samples) {
 *         Tensor x = Rows.floats(samples, "pixels", 784);
 *         return torch.cross_entropy_loss(model.forward(x), Rows.labels(samples, "label"));
 *     }
 * }
 * }</pre>
 *
 * @param <M> the module
 * @param <S> a sample of the data, such as {@code Row}
 */
public interface TorchNetwork<M extends Module, S> extends Serializable {
    /**
     * Makes the module, with initial weights. Called on each executor, and on the driver for the
     * result. PyTorch's generator has the seed of the job, and all ranks get the weights of rank 0.
     *
     * @return a new module, with float32 parameters in host memory
     */
    M create();

    /**
     * The loss of some samples: its forward pass. The backward pass follows.
     *
     * @param model what {@link #create} made, of this rank
     * @param samples at least one: this rank's share of a batch
     * @return the mean over the samples, one number
     */
    Tensor loss(M model, List<S> samples);

    /**
     * What LNGD shall do; called on each rank, which have to get the same. Threads that are left at
     * 0 become those that Spark gives to a task ({@code spark.task.cpus}).
     *
     * @param model what {@link #create} made
     * @param totalSteps of the whole run
     * @param batch samples of a step, of all ranks together
     * @return {@link LngdTorch#recommended} unless overridden. Where a model of sequences takes
     *     tokens as samples, override it with their number
     */
    default LngdOptions options(M model, long totalSteps, int batch) {
        return LngdTorch.recommended(model, totalSteps, batch);
    }

    /**
     * What moves the parameters that no layer of LNGD covers, such as those of norms.
     *
     * @return AdamW with the learning rate of {@link LngdTorch#attach(Module, LngdOptions)} unless
     *     overridden
     */
    default ParameterRule others() {
        return ParameterRule.adamW().learningRate(LngdTorch.OTHERS_RATE);
    }
}
