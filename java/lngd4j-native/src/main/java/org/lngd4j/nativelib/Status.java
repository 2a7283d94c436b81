// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import java.nio.charset.StandardCharsets;
import org.bytedeco.javacpp.BytePointer;
import org.lngd4j.nativelib.global.lngd;

/** Turns the status codes of the C ABI into exceptions. */
public final class Status {
    private Status() {}

    /**
     * Does nothing for {@code LNGD_OK}; throws for anything else. Must be called by the thread that
     * made the native call, and before its next one, since the message is kept per thread.
     * Allocates nothing for {@code LNGD_OK}.
     *
     * @param status what a native function returned
     * @throws LngdException the subclass that belongs to the status, with the text of {@code
     *     lngd_last_error()}
     */
    public static void check(int status) {
        if (status != lngd.LNGD_OK) {
            throw toException(status, text(lngd.lngd_last_error()));
        }
    }

    /**
     * The exception that belongs to a status.
     *
     * @param status an {@code lngd_status} value other than {@code LNGD_OK}
     * @param message the message
     * @return the exception, not thrown
     */
    public static LngdException toException(int status, String message) {
        return switch (status) {
            case lngd.LNGD_INVALID_ARGUMENT -> new LngdArgumentException(message);
            case lngd.LNGD_INVALID_HANDLE -> new LngdHandleException(message);
            case lngd.LNGD_INVALID_STATE -> new LngdStateException(message);
            case lngd.LNGD_BUSY -> new LngdBusyException(message);
            case lngd.LNGD_OUT_OF_MEMORY -> new LngdOutOfMemoryException(message);
            case lngd.LNGD_BACKEND_UNAVAILABLE -> new LngdBackendException(message);
            case lngd.LNGD_BAD_STATE_DATA -> new LngdStateDataException(message);
            case lngd.LNGD_INTERNAL -> new LngdInternalException(message);
            case lngd.LNGD_DEVICE_ERROR -> new LngdDeviceException(message);
            case lngd.LNGD_DEVICE_LOST -> new LngdDeviceLostException(message);
            default -> new LngdException(status, "unknown status " + status + ": " + message);
        };
    }

    /**
     * The text of a NUL-terminated UTF-8 string of the library.
     *
     * @param text the string, may be null
     * @return its text, "" for null
     */
    public static String text(BytePointer text) {
        return text == null || text.isNull()
                ? ""
                : new String(text.getStringBytes(), StandardCharsets.UTF_8);
    }
}
