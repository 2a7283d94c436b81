// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

/**
 * How far a training is, as the executors' last heartbeats have it ({@code
 * spark.executor.heartbeatInterval}, 10 seconds by default).
 *
 * @param attempt of the stage, from 0: more than 0 after a failure
 * @param steps done since the start of the run
 * @param samples that were trained on in this attempt
 * @param loss mean over the samples since the last progress, each before its step
 */
public record SparkProgress(int attempt, long steps, long samples, double loss) {}
