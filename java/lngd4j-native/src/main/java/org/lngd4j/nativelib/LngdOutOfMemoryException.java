// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import org.lngd4j.nativelib.global.lngd;

/** The native library could not get the memory it needs. Nothing was changed. */
public class LngdOutOfMemoryException extends LngdException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes an exception.
     *
     * @param message what was to be allocated
     */
    public LngdOutOfMemoryException(String message) {
        super(lngd.LNGD_OUT_OF_MEMORY, message);
    }
}
