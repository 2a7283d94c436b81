// SPDX-License-Identifier: Apache-2.0
package org.nd4j.nativeblas;

/**
 * What DL4J 1.0.0-M2.1 looks for to find out whether oneDNN may be used: its helper check asks a
 * class of this name by reflection, which ND4J itself no longer has. So DL4J's oneDNN convolutions
 * are never used, though they work. With this class on the class path they are, if the natives of
 * the class path are those with oneDNN and {@code
 * -Dorg.eclipse.deeplearning4j.helpers.disable=false} is set. Without that property nobody asks.
 *
 * <p>A workaround to be deleted with the first DL4J release that repairs the check.
 */
public final class Nd4jCpu$Environment {
    private static final Nd4jCpu$Environment INSTANCE = new Nd4jCpu$Environment();

    private Nd4jCpu$Environment() {}

    /** Called by DL4J by reflection. */
    public static Nd4jCpu$Environment getInstance() {
        return INSTANCE;
    }

    /** Called by DL4J by reflection: set by {@code LNGD_ONEDNN=1} of {@code ./lngd}. */
    public boolean isUseMKLDNN() {
        return Boolean.getBoolean("org.lngd4j.onednn");
    }
}
