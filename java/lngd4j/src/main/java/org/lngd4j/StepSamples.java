// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * Per-sample data of one layer for {@link StepPlan#step(double, java.util.List)}, in ND4J arrays or
 * in tensors that ND4J does not own.
 */
public sealed interface StepSamples permits LayerSamples, DeviceLayerSamples {}
