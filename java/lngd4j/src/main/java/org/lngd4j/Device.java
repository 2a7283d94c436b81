// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.DeviceLibrary;
import org.lngd4j.nativelib.LngdBackendException;
import org.lngd4j.nativelib.global.lngd;

/** Where the kernels run. */
public enum Device {
    /**
     * CUDA where it can be used, else the CPU. On a machine without a CUDA driver nothing is
     * extracted, opened or asked for CUDA; with one, a CUDA backend that cannot be used (a driver
     * or a device that is too old, or one that computes wrong answers) leaves the CPU, which is
     * said once by a warning, and {@link DeviceChoice} and {@link LngdInfo} tell why. {@link
     * Approximation#EKFAC} runs on the CPU in any case.
     */
    AUTO(lngd.LNGD_DEVICE_AUTO),

    /** The CPU backend. */
    CPU(lngd.LNGD_DEVICE_CPU),

    /**
     * The CUDA backend: a device of compute capability 8.0 or later and its driver are needed. One
     * that computes wrong answers at its first use is refused.
     */
    CUDA(lngd.LNGD_DEVICE_CUDA),

    /**
     * The kernels of the CUDA backend on an emulator that runs on the CPU, thousands of times
     * slower: for tests on machines without a GPU. Never chosen by {@link #AUTO}.
     */
    CUDA_EMULATED(lngd.LNGD_DEVICE_CUDA_EMULATED);

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

    /**
     * The code to make an optimizer with, after its library was loaded where it needs one.
     *
     * @throws LngdBackendException with every path tried where the library cannot be loaded
     */
    int prepared() {
        switch (this) {
            case AUTO -> {
                if (!DeviceLibrary.mayHaveCuda()) {
                    return CPU.code;
                }
                // Whatever comes of it: the native library asks the backend, and takes the CPU
                // where there is none.
                DeviceLibrary.load(CUDA.code);
            }
            case CUDA, CUDA_EMULATED -> {
                if (!DeviceLibrary.load(code)) {
                    throw new LngdBackendException(
                            "the device " + this + " cannot be used: " + LngdInfo.reason(this));
                }
            }
            case CPU -> {}
        }
        return code;
    }
}
