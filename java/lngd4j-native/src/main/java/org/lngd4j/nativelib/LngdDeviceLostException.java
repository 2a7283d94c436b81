// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import org.lngd4j.nativelib.global.lngd;

/** The device failed for good: the optimizer can only be closed, and every later call says so. */
public class LngdDeviceLostException extends LngdException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes an exception.
     *
     * @param message what the device reported first
     */
    public LngdDeviceLostException(String message) {
        super(lngd.LNGD_DEVICE_LOST, message);
    }
}
