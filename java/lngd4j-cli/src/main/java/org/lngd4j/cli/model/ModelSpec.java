// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

/**
 * A network that {@code --model} can name, sized for its data. Its text tells everything that
 * decides the shapes: a checkpoint is refused where it differs.
 */
public interface ModelSpec {
    /** The number of trained weights and biases (without the running statistics of batch norm). */
    long parameters();
}
