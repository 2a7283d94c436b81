// SPDX-License-Identifier: Apache-2.0
/**
 * LNGD for modules of JavaCPP's PyTorch presets: layers that remember what LNGD needs to see, and
 * {@link org.lngd4j.pytorch.LngdTorch}, which steps them.
 */
package org.lngd4j.pytorch;
