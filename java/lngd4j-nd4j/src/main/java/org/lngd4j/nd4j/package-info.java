// SPDX-License-Identifier: Apache-2.0
/**
 * ND4J arrays as tensors of the core, without copies: {@link org.lngd4j.nd4j.Nd4jOptimizer} beside
 * an {@link org.lngd4j.LngdOptimizer}.
 */
package org.lngd4j.nd4j;
