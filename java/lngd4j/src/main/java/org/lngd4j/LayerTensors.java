// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * The tensors of one layer that a {@link StepPlan} works on: float32, any strides but 0, each in
 * any kind of memory, never copied on the Java side. A weight matrix kept as inputs x outputs is
 * passed as its transpose.
 *
 * <p>A plan whose tensors all lie in memory of the device never waits for it; a step is then
 * enqueued on the optimizer's stream and returns. Tensors in host memory are copied to a device and
 * back, and hold their result when the step returns.
 *
 * @param layer index of the layer in the optimizer, from 0
 * @param weights W, m x d_w; a convolution's may also be m x channels of a group x kernel, if those
 *     axes have one stride together, as in a compact tensor
 * @param bias b, [m]; null where the layer has no bias
 * @param weightGradients gradient of the mean loss with respect to W, of the shapes of W
 * @param biasGradients gradient of the mean loss with respect to b, [m]; null where the layer has
 *     no bias
 */
public record LayerTensors(
        int layer,
        TensorView weights,
        TensorView bias,
        TensorView weightGradients,
        TensorView biasGradients) {}
