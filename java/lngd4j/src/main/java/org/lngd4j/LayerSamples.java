// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * Per-sample data of one layer for {@link LayerRate#EMPIRICAL}: float32, any strides, never copied
 * on the Java side. Memory of a device is read in the order of the optimizer's stream.
 *
 * @param inputs inputs of the layer, N x d_w, without the constant 1 of a bias; a convolution's are
 *     N x channels x height x width (1-D: N x channels x length), an embedding's N x T indices
 * @param deltas derivative of the loss of each sample with respect to its pre-activations, N x m, N
 *     x m x height x width, or N x m x T; NOT divided by N
 */
public record LayerSamples(TensorView inputs, TensorView deltas) {}
