// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * Where a {@link Sum} of a layer lies in its buffer.
 *
 * @param offset its first element, from 0
 * @param count how many elements; 0 where the layer has no such sum
 */
public record SumRange(long offset, long count) {}
