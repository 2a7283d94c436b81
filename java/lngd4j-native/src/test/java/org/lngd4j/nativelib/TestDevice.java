// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;

import org.lngd4j.nativelib.global.lngd;

/**
 * The device that the tests run on: the system property {@code lngd.test.device}, which is cpu (by
 * default), cuda or emulated. Tests tagged {@value #TAG} are the quick part that CI repeats on the
 * emulator.
 */
final class TestDevice {
    static final String TAG = "device";

    /** An {@code lngd_device}; its library is loaded. */
    static final int CODE = code();

    private TestDevice() {}

    static boolean isCpu() {
        return CODE == lngd.LNGD_DEVICE_CPU;
    }

    private static int code() {
        String name = System.getProperty("lngd.test.device", "cpu");
        int code =
                switch (name) {
                    case "cpu" -> lngd.LNGD_DEVICE_CPU;
                    case "cuda" -> lngd.LNGD_DEVICE_CUDA;
                    case "emulated" -> lngd.LNGD_DEVICE_CUDA_EMULATED;
                    default ->
                            throw new IllegalArgumentException(
                                    "lngd.test.device is "
                                            + name
                                            + "; allowed is cpu, cuda, emulated");
                };
        if (code != lngd.LNGD_DEVICE_CPU) {
            assertThat(DeviceLibrary.load(code))
                    .as(() -> DeviceLibrary.attempts(code).toString())
                    .isTrue();
        }
        return code;
    }
}
