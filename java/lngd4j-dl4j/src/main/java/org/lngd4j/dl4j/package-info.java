// SPDX-License-Identifier: Apache-2.0
/**
 * LNGD for Deeplearning4j: one line attaches it to a {@code MultiLayerNetwork} that goes on
 * training with its own {@code fit}.
 *
 * <pre>{@code
 * LngdOptions options = LngdOptions.recipe(epochs * batchesPerEpoch).build();
 * try (LngdTraining lngd = Lngd.attach(net, options)) {
 *     System.out.println(lngd.report()); // what is done with each layer, and why
 *     net.fit(iterator, epochs);
 * } // the network is as it was, with trained (averaged) weights
 * }</pre>
 *
 * <p>Start with {@link org.lngd4j.dl4j.Lngd#attach}.
 */
package org.lngd4j.dl4j;
