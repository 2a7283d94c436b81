// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

/**
 * How much a run trains.
 *
 * @param steps of the whole run
 * @param rows that the dense layers see in a step: samples, of sentences the tokens of their
 *     translations, in the mean
 */
public record RunLength(long steps, int rows) {}
