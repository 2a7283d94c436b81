// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import org.lngd4j.Device;
import org.lngd4j.LngdInfo;
import org.lngd4j.cli.CliException;
import org.lngd4j.nativelib.DeviceLibrary;
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
     * The device that a run will have: for {@code auto} CUDA where it can be used, else the CPU. A
     * device that is asked for by name and cannot be had is bad input, with the reason.
     */
    public static Device usable(String word) {
        Device wanted = of(word);
        if (wanted == Device.AUTO) {
            return cudaProblem() == null ? Device.CUDA : Device.CPU;
        }
        LngdInfo.Backend backend = look(wanted);
        if (!backend.available()) {
            throw CliException.badInput("--device " + word + ": " + backend.reason());
        }
        return wanted;
    }

    /**
     * Why {@code auto} does not take CUDA: "" where this machine has no driver; null if it does.
     */
    public static String cudaProblem() {
        if (!DeviceLibrary.mayHaveCuda()) {
            return "";
        }
        LngdInfo.Backend cuda = look(Device.CUDA);
        return cuda.available() ? null : cuda.reason();
    }

    private static LngdInfo.Backend look(Device device) {
        try {
            return LngdInfo.backend(device);
        } catch (LngdNativeLoadException e) {
            throw CliException.failure(e.getMessage() + "; lngd info tells more", e);
        }
    }
}
