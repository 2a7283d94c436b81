// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import org.lngd4j.nativelib.global.lngd;

/** A device or one of its libraries is missing; the message lists what was tried. */
public class LngdBackendException extends LngdException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes an exception.
     *
     * @param message what is missing and what was tried
     */
    public LngdBackendException(String message) {
        super(lngd.LNGD_BACKEND_UNAVAILABLE, message);
    }
}
