// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.nd4j.linalg.learning.config.IUpdater;

/**
 * How LNGD is attached to a network. Immutable; the methods with an argument give a changed copy.
 *
 * <pre>{@code
 * Lngd.attach(net, options, AttachOptions.defaults().fallback(new Adam(1e-3)).leaveAverages(false));
 * }</pre>
 */
public final class AttachOptions {
    private static final AttachOptions DEFAULTS = new AttachOptions(null, true);

    private final IUpdater fallback;
    private final boolean leaveAverages;

    private AttachOptions(IUpdater fallback, boolean leaveAverages) {
        this.fallback = fallback;
        this.leaveAverages = leaveAverages;
    }

    /**
     * Each layer that LNGD does not train keeps the updater that it is configured with (and that
     * updater's state); averaged weights are left in the network at the end.
     *
     * @return the defaults
     */
    public static AttachOptions defaults() {
        return DEFAULTS;
    }

    /**
     * The updater of layers that LNGD does not train.
     *
     * @param updater any DL4J updater, copied; null: each layer keeps the one it is configured with
     * @return a changed copy
     */
    public AttachOptions fallback(IUpdater updater) {
        return new AttachOptions(updater == null ? null : updater.clone(), leaveAverages);
    }

    /**
     * Whether {@link LngdTraining#close()} leaves the averaged weights in the network. Without
     * averaging, and before the first step, this has no effect.
     *
     * @param leave true: the averaged weights; false: the weights of the last step
     * @return a changed copy
     */
    public AttachOptions leaveAverages(boolean leave) {
        return new AttachOptions(fallback, leave);
    }

    /**
     * The updater of layers that LNGD does not train.
     *
     * @return the updater, or null if each layer keeps its own
     */
    public IUpdater fallback() {
        return fallback;
    }

    /**
     * Whether the averaged weights are left in the network at the end.
     *
     * @return whether
     */
    public boolean leaveAverages() {
        return leaveAverages;
    }

    @Override
    public String toString() {
        return "AttachOptions[fallback="
                + (fallback == null ? "as configured" : fallback)
                + ", leaveAverages="
                + leaveAverages
                + "]";
    }
}
