// SPDX-License-Identifier: Apache-2.0
/**
 * Data-parallel training of a PyTorch module: the processes that train together ({@link
 * org.lngd4j.pytorch.parallel.Ranks}), connected by Gloo out of JavaCPP's PyTorch presets. {@code
 * LngdTorch.attach(model, options, others, ranks)} trains with them; docs/data-parallel.md has a
 * program.
 */
package org.lngd4j.pytorch.parallel;
