// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/** Which ranks of data-parallel training compute the inverses of a layer. The bits are the same. */
public enum InversePlacement {
    /** All of them: nothing travels. Right where inverses cost less than their transfer. */
    REPLICATED,
    /**
     * One of them, which broadcasts them (J. G. Pauloski et al., "KAISA", SC 2021, with one worker
     * a layer); the layers are balanced by {@link InverseOwners}.
     */
    OWNED,
    /** What takes less time by counted costs and by speeds that are measured at the start. */
    AUTO
}
