// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.DeviceLibrary;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdBackendException;

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

    @Test
    void autoTakesCudaWhereItCanBeUsedElseTheCpu() {
        boolean cuda = DeviceLibrary.mayHaveCuda() && LngdInfo.backend(Device.CUDA).available();
        LngdOptions options = LngdOptions.recipe(10).build();
        assertThat(options.device()).isEqualTo(Device.AUTO);
        try (LngdOptimizer optimizer = LngdOptimizer.create(options, layers())) {
            assertThat(optimizer.device()).isEqualTo(cuda ? Device.CUDA : Device.CPU);
            assertThat(optimizer.deviceIndex()).isZero();
        }
    }

    @Test
    void aDeviceThatIsMissingIsAnExceptionWithTheReason() {
        LngdInfo.Backend cuda = LngdInfo.backend(Device.CUDA);
        LngdOptions options = LngdOptions.recipe(10).device(Device.CUDA, 99).build();
        // Where there is CUDA, there is no device 99.
        assertThatThrownBy(() -> LngdOptimizer.create(options, layers()).close())
                .isInstanceOfAny(LngdBackendException.class, LngdArgumentException.class)
                .hasMessageContaining(
                        cuda.available()
                                ? "99"
                                : cuda.cuda().library().isEmpty() ? "cannot be loaded" : "driver");
    }

    private static List<LayerSpec> layers() {
        return List.of(LayerSpec.dense("layer", 2, 3));
    }
}
