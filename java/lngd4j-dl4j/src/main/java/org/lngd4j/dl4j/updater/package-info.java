// SPDX-License-Identifier: Apache-2.0
/**
 * Optimizers that Deeplearning4j lacks, as updaters for networks of its own: {@link
 * org.lngd4j.dl4j.updater.AdamW}, {@link org.lngd4j.dl4j.updater.Muon} and {@link
 * org.lngd4j.dl4j.updater.Soap}.
 *
 * <pre>{@code
 * System.out.println(Muon.builder().learningRate(0.02).build().install(net));
 * net.fit(iterator, epochs);
 * }</pre>
 *
 * <p>They write updaters into the configuration of the network's layers, which is all that {@code
 * fit} looks at. All state lies in DL4J's updater state array, so {@code ModelSerializer} (with the
 * updater), {@code clone()} and early stopping carry it along, and a restored network goes on bit
 * by bit without a second call; only this library has to be on the classpath. Nothing of them is
 * native code of this library: they run wherever ND4J does.
 */
package org.lngd4j.dl4j.updater;
