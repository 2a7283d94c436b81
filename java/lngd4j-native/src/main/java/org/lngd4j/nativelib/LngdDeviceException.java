// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import org.lngd4j.nativelib.global.lngd;

/** A call of the device (CUDA) failed; the optimizer can still be used. */
public class LngdDeviceException extends LngdException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes an exception.
     *
     * @param message which call failed, and why
     */
    public LngdDeviceException(String message) {
        super(lngd.LNGD_DEVICE_ERROR, message);
    }
}
