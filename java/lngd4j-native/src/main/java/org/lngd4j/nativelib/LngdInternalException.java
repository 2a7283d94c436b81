// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import org.lngd4j.nativelib.global.lngd;

/** A defect of the native library. */
public class LngdInternalException extends LngdException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes an exception.
     *
     * @param message what the library noticed
     */
    public LngdInternalException(String message) {
        super(lngd.LNGD_INTERNAL, message);
    }
}
