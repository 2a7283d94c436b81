// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;

/** What a machine is said to offer. */
class LngdInfoTest {
    @Test
    void theCpuBackendIsDescribed() {
        LngdInfo info = LngdInfo.current();
        assertThat(info.libraryVersion()).isEqualTo(info.javaApiVersion());
        assertThat(info.backends())
                .extracting(LngdInfo.Backend::device)
                .containsExactly(Device.CPU, Device.CUDA);
        LngdInfo.Backend cpu = info.backends().get(0);
        assertThat(cpu.available()).isTrue();
        assertThat(cpu.blas()).contains("OpenBLAS");
        assertThat(cpu.blasPath()).contains("openblas");
        assertThat(info.toString())
                .contains(cpu.instructionSet(), cpu.blasCore(), "looked for", "liblngd from");
        assertThat(info.asMap())
                .containsKeys("libraryVersion", "backends", "libraryAttempts", "blasAttempts");
    }

    @Test
    void aBackendThatIsMissingHasAReason() {
        for (LngdInfo.Backend backend : LngdInfo.current().backends()) {
            assertThat(backend.reason().isEmpty()).isEqualTo(backend.available());
        }
    }

    @Test
    void cudaIsDescribedWhetherItIsThereOrNot() {
        LngdInfo.Backend cuda = LngdInfo.backend(Device.CUDA);
        LngdInfo info = LngdInfo.current();
        assertThat(info.backends().get(0).cuda()).isNull();
        assertThat(info.backends().get(1)).isEqualTo(cuda);
        assertThat(info.asMap()).containsKey("deviceAttempts");
        assertThat(info.loadReport().devices()).isNotEmpty();
        LngdInfo.Cuda details = cuda.cuda();
        if (cuda.available()) {
            assertThat(details.devices()).isPositive();
            assertThat(details.deviceName()).isNotBlank();
            assertThat(details.computeCapability()).matches("[0-9]+\\.[0-9]+");
            assertThat(details.deviceMemory()).isPositive();
            assertThat(details.driverVersion()).matches("[0-9]+\\.[0-9]+");
            assertThat(info.toString()).contains(details.deviceName());
        } else {
            assertThat(info.toString()).contains(cuda.reason());
        }
        // Known with the library, without one not.
        assertThat(details.runtimeVersion().isEmpty()).isEqualTo(details.library().isEmpty());
    }

    @Test
    void autoIsNoBackend() {
        assertThatThrownBy(() -> LngdInfo.backend(Device.AUTO))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("device");
    }
}
