// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * {@link LayerTensors} outside of ND4J: float32, any strides but 0, each of any kind of memory. A
 * plan whose tensors all lie in memory of the device never waits for it; a step is then enqueued on
 * the optimizer's stream and returns. Tensors in host memory are copied to the device and back, and
 * hold their result when the step returns.
 *
 * @param layer index of the layer in the optimizer, from 0
 * @param weights W, m x d_w
 * @param bias b, [m]; null where the layer has no bias
 * @param weightGradients gradient of the mean loss with respect to W, m x d_w
 * @param biasGradients gradient of the mean loss with respect to b, [m]; null where the layer has
 *     no bias
 */
public record DeviceLayerTensors(
        int layer,
        DeviceTensor weights,
        DeviceTensor bias,
        DeviceTensor weightGradients,
        DeviceTensor biasGradients)
        implements PlanTensors {}
