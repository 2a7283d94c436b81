// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.Activation;
import org.lngd4j.LayerOptions;
import org.lngd4j.OutputModel;

/**
 * A layer that LNGD can train: a subclass of PyTorch's own whose {@code forward} sees what goes in
 * and out. What LNGD cannot see by itself is told to it by {@link #activation} and {@link #output},
 * before {@link LngdTorch#attach}.
 */
public sealed interface LngdLayer permits LngdLinear, LngdConv1d, LngdConv2d, LngdEmbedding {
    /**
     * Tells which activation the model applies to this layer's output. The layer does not apply it.
     * Only {@code Fisher.EXPECTED} and {@code Fisher.SAMPLED} (preset {@code RECIPE}) need it;
     * where the targets are drawn from the model ({@code Fisher.PROVIDED}, {@link
     * LngdTorch#recommended}) the gradients contain it.
     *
     * @param activation the activation; {@code IDENTITY} where a normalisation or nothing follows
     * @return this layer
     */
    LngdLayer activation(Activation activation);

    /**
     * Makes this layer an output of the model: its result are the logits (or, with squared error,
     * the predictions) that the loss is computed from.
     *
     * @param model what the loss is the negative logarithm of: {@code SOFTMAX} for
     *     cross_entropy_loss, {@code SIGMOID} for binary_cross_entropy_with_logits, {@code
     *     SQUARED_ERROR} for mse_loss
     * @return this layer
     */
    LngdLayer output(OutputModel model);

    /**
     * Tells what this layer does otherwise than the others: its learning rate, weight decay, trust
     * ratio. ({@code options()} without an argument are PyTorch's.)
     *
     * @param options what
     * @return this layer
     */
    LngdLayer lngdOptions(LayerOptions options);

    /**
     * The layer itself, as in PyTorch.
     *
     * @param input the input
     * @return the output
     */
    Tensor forward(Tensor input);

    /**
     * The weights.
     *
     * @return W
     */
    Tensor weight();

    /**
     * The bias.
     *
     * @return b; not defined where the layer has none
     */
    Tensor bias();

    /**
     * What a module of a model was told by {@link #output}.
     *
     * @param module one of {@code named_modules()}, or the layer itself
     * @return what the layer is an output of; {@code HIDDEN} where it was told nothing, and for
     *     modules that are no layers of this library
     */
    static OutputModel outputOf(Module module) {
        LayerCapture capture = LayerCapture.at(module.address());
        return capture == null ? OutputModel.HIDDEN : capture.output();
    }
}
