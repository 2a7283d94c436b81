// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import org.lngd4j.nativelib.global.lngd;

/** Use of something closed, destroyed, or never a handle of that kind. */
public class LngdHandleException extends LngdException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes an exception.
     *
     * @param message what was used after its end
     */
    public LngdHandleException(String message) {
        super(lngd.LNGD_INVALID_HANDLE, message);
    }
}
