// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import org.lngd4j.nativelib.global.lngd;

/** Another thread is inside a call on the same optimizer. */
public class LngdBusyException extends LngdException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes an exception.
     *
     * @param message which object is in use
     */
    public LngdBusyException(String message) {
        super(lngd.LNGD_BUSY, message);
    }
}
