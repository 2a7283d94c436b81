// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

/**
 * What the collectives of a rank have cost so far.
 *
 * @param calls how many were done
 * @param bytes what this rank gave to them: the lengths of its tensors
 * @param nanos time from the start of each to its end, in nanoseconds. A rank that comes earlier
 *     than another waits for it, and this counts too. Not that of collectives during a backward
 *     pass
 */
public record CollectiveTimes(long calls, long bytes, long nanos) {}
