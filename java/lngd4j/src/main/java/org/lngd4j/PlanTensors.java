// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * What a {@link StepPlan} works on in one layer: ND4J arrays or tensors that ND4J does not own. One
 * plan may have layers of both kinds.
 */
public sealed interface PlanTensors permits LayerTensors, DeviceLayerTensors {
    /** {@return index of the layer in the optimizer, from 0} */
    int layer();
}
