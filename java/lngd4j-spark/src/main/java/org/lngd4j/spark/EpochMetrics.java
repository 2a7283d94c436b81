// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.Serializable;

/**
 * What an epoch was like.
 *
 * @param epoch from 0
 * @param steps steps of this epoch in this attempt: an attempt that went on from a checkpoint has
 *     not done all of the first one
 * @param samples samples that all ranks trained on in these steps
 * @param loss mean loss over them, before each step
 * @param seconds time of rank 0
 */
public record EpochMetrics(int epoch, long steps, long samples, double loss, double seconds)
        implements Serializable {}
