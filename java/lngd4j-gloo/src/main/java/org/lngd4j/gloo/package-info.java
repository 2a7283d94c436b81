// SPDX-License-Identifier: Apache-2.0
/**
 * The processes that train one network together, and the collectives between them ({@link
 * org.lngd4j.gloo.Ranks}): Gloo out of JavaCPP's PyTorch presets. Knows no network of any
 * framework: adapters train with it. docs/data-parallel.md has programs.
 */
package org.lngd4j.gloo;
