// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * What an adapter does with one layer of a network, or with one parameter that no layer covers, and
 * why.
 *
 * @param index its index in the network, from 0
 * @param name its name in the network
 * @param type what the framework calls it, for example {@code DenseLayer}
 * @param parameters number of its parameters
 * @param treatment what is done with it
 * @param lngdIndex its index in the {@link LngdOptimizer}; -1 if it is not trained by LNGD
 * @param spec how LNGD sees it; null if it is not trained by LNGD
 * @param detail the model that LNGD takes for it, or the reason why it is not trained by LNGD and
 *     what trains it instead
 */
public record LayerRegistration(
        int index,
        String name,
        String type,
        long parameters,
        Treatment treatment,
        int lngdIndex,
        LayerSpec spec,
        String detail) {}
