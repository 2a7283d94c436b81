// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * What the inverses of a layer cost, each time they are renewed.
 *
 * @param operations floating-point operations of computing them, counted: n^3 for a matrix of n
 *     rows, 2 n^3 / 3 where its triangle is wanted, 9 n^3 for eigenvectors, n for a vector
 * @param floats that travel, padding included
 */
public record InverseCost(double operations, long floats) {}
