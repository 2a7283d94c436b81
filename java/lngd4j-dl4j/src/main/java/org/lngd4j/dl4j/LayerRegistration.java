// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.lngd4j.LayerSpec;

/**
 * What is done with one layer of a network, and why.
 *
 * @param index the layer's index in the network, from 0
 * @param name the layer's name in the configuration
 * @param type the simple name of its configuration class, for example {@code DenseLayer}
 * @param parameters number of its parameters
 * @param treatment what is done with it
 * @param lngdIndex its index in {@link LngdTraining#optimizer()}; -1 if it is not trained by LNGD
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
