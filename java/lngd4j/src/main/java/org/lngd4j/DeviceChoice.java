// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.IntPointer;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;

/**
 * The device that an optimizer runs on: what {@link Device#AUTO} becomes, and why. At its first use
 * in a process a CUDA device has to give known answers, which takes some milliseconds and a CUDA
 * context; {@link Device#AUTO} takes the CPU where it does not.
 *
 * @param device not {@link Device#AUTO}
 * @param reason why {@link Device#AUTO} took the CPU although there may be a CUDA device; "" where
 *     it did not, or where the machine has none
 */
public record DeviceChoice(Device device, String reason) {
    /** Of the one warning that AUTO took the CPU. */
    static final String LOGGER_NAME = "org.lngd4j.device";

    private static final System.Logger LOGGER = System.getLogger(LOGGER_NAME);
    private static final Set<String> TOLD = ConcurrentHashMap.newKeySet();
    private static final int REASON_BYTES = 512;

    /**
     * The device that an optimizer with these options would run on. May be called by any thread.
     *
     * @param options the options
     * @return the choice
     * @throws org.lngd4j.nativelib.LngdException what making the optimizer would throw, for example
     *     where a device that the options name cannot be used or computes wrong answers
     */
    public static DeviceChoice of(LngdOptions options) {
        try (lngd_config config = new lngd_config()) {
            options.values.write(config);
            return of(options.device(), config);
        }
    }

    /** The same for a configuration that was written; its device is set. */
    static DeviceChoice of(Device wanted, lngd_config config) {
        config.device(wanted.prepared());
        try (IntPointer device = new IntPointer(1);
                BytePointer reason = new BytePointer(REASON_BYTES)) {
            Status.check(lngd.lngd_choose_device(config, device, reason, REASON_BYTES));
            reason.limit(0); // its text ends at the NUL, not at the end of the buffer
            return new DeviceChoice(
                    Codes.of(Device.values(), Device::code, device.get()), Status.text(reason));
        }
    }

    /**
     * Warns, once in a process for each reason, that {@link Device#AUTO} took the CPU (logger
     * {@code org.lngd4j.device}).
     *
     * @return this choice
     */
    public DeviceChoice tell() {
        if (!reason.isEmpty() && TOLD.add(reason)) {
            LOGGER.log(System.Logger.Level.WARNING, "LNGD runs on the CPU: " + reason);
        }
        return this;
    }
}
