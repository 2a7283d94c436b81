// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import org.lngd4j.nativelib.global.lngd;

/** Right arguments at the wrong time, such as a step while averaged weights are swapped in. */
public class LngdStateException extends LngdException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes an exception.
     *
     * @param message what was asked for and what must come first
     */
    public LngdStateException(String message) {
        super(lngd.LNGD_INVALID_STATE, message);
    }
}
