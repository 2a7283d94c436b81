// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** Where the kernels run. */
public enum Device {
    /** CUDA where it is available, else the CPU. */
    AUTO(lngd.LNGD_DEVICE_AUTO),

    /** The CPU backend. */
    CPU(lngd.LNGD_DEVICE_CPU),

    /** The CUDA backend. */
    CUDA(lngd.LNGD_DEVICE_CUDA);

    private final int code;

    Device(int code) {
        this.code = code;
    }

    /**
     * The value of this constant in the C ABI.
     *
     * @return an {@code lngd_*} constant
     */
    public int code() {
        return code;
    }
}
