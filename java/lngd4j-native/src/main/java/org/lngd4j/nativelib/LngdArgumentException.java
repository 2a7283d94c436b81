// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import org.lngd4j.nativelib.global.lngd;

/** An argument is outside of what is allowed. */
public class LngdArgumentException extends LngdException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes an exception.
     *
     * @param message names the argument, the value seen and what is allowed
     */
    public LngdArgumentException(String message) {
        super(lngd.LNGD_INVALID_ARGUMENT, message);
    }
}
