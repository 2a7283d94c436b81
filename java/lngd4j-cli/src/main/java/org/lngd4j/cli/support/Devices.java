// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import org.lngd4j.Device;
import org.lngd4j.DeviceChoice;
import org.lngd4j.LngdInfo;
import org.lngd4j.LngdOptions;
import org.lngd4j.cli.CliException;
import org.lngd4j.nativelib.LngdException;
import org.lngd4j.nativelib.LngdNativeLoadException;

/** From what {@code --device} says to a device that can be used. */
public final class Devices {
    private Devices() {}

    /** The word that an option has for a device. */
    public static String word(Device device) {
        return switch (device) {
            case AUTO -> "auto";
            case CPU -> "cpu";
            case CUDA -> "cuda";
            case CUDA_EMULATED -> "emulated";
        };
    }

    /** The device of a word, which was checked to be one. */
    public static Device of(String word) {
        for (Device device : Device.values()) {
            if (word(device).equals(word)) {
                return device;
            }
        }
        throw CliException.badInput("--device " + word + ": no such device");
    }

    /**
     * The device that a run will have: for {@code auto} CUDA where it can be used, else the CPU,
     * with a warning where that needs saying. A device that is asked for by name and cannot be had
     * is bad input, with the reason.
     */
    public static Device usable(String word) {
        try {
            Device device = choice(of(word)).tell().device();
            if (device == Device.CPU) {
                LngdInfo.Backend cpu = LngdInfo.backend(device);
                if (!cpu.available()) {
                    throw CliException.badInput("--device " + word + ": " + cpu.reason());
                }
            }
            return device;
        } catch (LngdNativeLoadException e) {
            throw CliException.failure(e.getMessage() + "; lngd info tells more", e);
        } catch (LngdException e) {
            throw CliException.badInput("--device " + word + ": " + e.getMessage(), e);
        }
    }

    /**
     * Why {@code auto} does not take CUDA: "" where this machine has no driver; null if it does.
     */
    public static String cudaProblem() {
        try {
            DeviceChoice choice = choice(Device.AUTO);
            return choice.device() == Device.CUDA ? null : choice.reason();
        } catch (LngdNativeLoadException e) {
            throw CliException.failure(e.getMessage() + "; lngd info tells more", e);
        }
    }

    private static DeviceChoice choice(Device wanted) {
        return DeviceChoice.of(LngdOptions.recipe(1).device(wanted).build());
    }
}
