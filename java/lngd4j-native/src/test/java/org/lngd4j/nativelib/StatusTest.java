// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;

/** Status codes, their names, and their exceptions. */
class StatusTest {
    private static final Map<Integer, Class<? extends LngdException>> EXCEPTIONS =
            Map.ofEntries(
                    Map.entry(lngd.LNGD_INVALID_ARGUMENT, LngdArgumentException.class),
                    Map.entry(lngd.LNGD_INVALID_HANDLE, LngdHandleException.class),
                    Map.entry(lngd.LNGD_INVALID_STATE, LngdStateException.class),
                    Map.entry(lngd.LNGD_BUSY, LngdBusyException.class),
                    Map.entry(lngd.LNGD_OUT_OF_MEMORY, LngdOutOfMemoryException.class),
                    Map.entry(lngd.LNGD_BACKEND_UNAVAILABLE, LngdBackendException.class),
                    Map.entry(lngd.LNGD_BAD_STATE_DATA, LngdStateDataException.class),
                    Map.entry(lngd.LNGD_INTERNAL, LngdInternalException.class),
                    Map.entry(lngd.LNGD_DEVICE_ERROR, LngdDeviceException.class),
                    Map.entry(lngd.LNGD_DEVICE_LOST, LngdDeviceLostException.class));

    @Test
    void everyStatusHasAName() {
        for (int status = lngd.LNGD_OK; status <= lngd.LNGD_DEVICE_LOST; status++) {
            assertThat(Status.text(lngd.lngd_status_name(status))).startsWith("LNGD_");
        }
        for (int status : new int[] {-1, 11, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
            assertThat(Status.text(lngd.lngd_status_name(status))).isEqualTo("unknown status");
        }
    }

    @Test
    void everyStatusHasAnException() {
        EXCEPTIONS.forEach(
                (status, type) -> {
                    LngdException e = Status.toException(status, "why");
                    assertThat(e).isExactlyInstanceOf(type).hasMessage("why");
                    assertThat(e.status()).isEqualTo(status);
                });
        assertThat(Status.toException(77, "why"))
                .isExactlyInstanceOf(LngdException.class)
                .hasMessageContaining("77");
    }

    @Test
    void checkThrowsWithTheMessageOfTheLibrary() {
        assertThatCode(() -> Status.check(lngd.LNGD_OK)).doesNotThrowAnyException();
        assertThatThrownBy(() -> Status.check(lngd.lngd_config_init(99, 10, new lngd_config())))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("preset")
                .hasMessageContaining("99");
    }

    @Test
    void theMessageBelongsToTheThread() throws InterruptedException {
        lngd.lngd_config_init(98, 10, new lngd_config());
        String[] other = new String[1];
        Thread thread = new Thread(() -> other[0] = Status.text(lngd.lngd_last_error()));
        thread.start();
        thread.join();
        assertThat(other[0]).isEmpty();
        assertThat(Status.text(lngd.lngd_last_error())).contains("98");
    }
}
