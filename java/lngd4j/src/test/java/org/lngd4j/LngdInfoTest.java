// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

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
}
