// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.lngd4j.Device;

/**
 * The device that the tests run on: the system property {@code lngd.test.device}, which is cpu (by
 * default), cuda or emulated. Tests tagged {@value #TAG} are the quick part that CI repeats on the
 * emulator.
 */
final class TestDevice {
    /** The tag. */
    static final String TAG = "device";

    private TestDevice() {}

    /** The device. */
    static Device get() {
        String name = System.getProperty("lngd.test.device", "cpu");
        return switch (name) {
            case "cpu" -> Device.CPU;
            case "cuda" -> Device.CUDA;
            case "emulated" -> Device.CUDA_EMULATED;
            default ->
                    throw new IllegalArgumentException(
                            "lngd.test.device is " + name + "; allowed is cpu, cuda, emulated");
        };
    }
}
