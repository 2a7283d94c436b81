// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * Where the inverses of an owner's layers lie in an {@link InverseBuffer}.
 *
 * @param offset its first float, from 0
 * @param count how many floats; 0 for a rank that owns nothing
 */
public record InverseRange(long offset, long count) {}
