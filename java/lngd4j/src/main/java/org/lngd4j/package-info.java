// SPDX-License-Identifier: Apache-2.0
/**
 * Layer-wise natural gradient descent on tensors of any framework, without copies. Start with
 * {@link org.lngd4j.LngdOptions}, {@link org.lngd4j.LayerSpec} and {@link
 * org.lngd4j.LngdOptimizer}.
 */
package org.lngd4j;
