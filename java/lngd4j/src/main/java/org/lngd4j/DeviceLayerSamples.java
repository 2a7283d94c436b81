// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * {@link LayerSamples} outside of ND4J: float32, any strides. Memory of a device is read in the
 * order of the optimizer's stream.
 *
 * @param inputs inputs of the layer, N x d_w, without the constant 1 of a bias
 * @param deltas derivative of the loss of each sample with respect to its pre-activations, N x m;
 *     NOT divided by N
 */
public record DeviceLayerSamples(DeviceTensor inputs, DeviceTensor deltas) implements StepSamples {}
