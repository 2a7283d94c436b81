// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import org.lngd4j.nativelib.global.lngd;

/**
 * Saved state that is truncated, corrupt, of another version or of another configuration. Nothing
 * was changed.
 */
public class LngdStateDataException extends LngdException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes an exception.
     *
     * @param message what is wrong with the data
     */
    public LngdStateDataException(String message) {
        super(lngd.LNGD_BAD_STATE_DATA, message);
    }
}
