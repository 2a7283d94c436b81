// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * What the statistics of a layer make of the rows of a batch, row-major. A row is a sample; of a
 * convolution or an embedding, a position of a sample (rows of one sample follow each other, the
 * width runs fastest), and with G groups r and c are N x G.
 *
 * @param q squares of the per-sample gradients, N x m
 * @param r row sums of q, N values
 * @param c squared norms of the inputs, the constant 1 of a bias included, N values; NaN for an
 *     index of an embedding that is none
 */
public record FisherRows(float[] q, float[] r, float[] c) {}
