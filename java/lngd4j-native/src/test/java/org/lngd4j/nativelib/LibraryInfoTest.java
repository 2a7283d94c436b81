// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.invalid;
import static org.lngd4j.nativelib.Abi.ok;

import org.bytedeco.javacpp.BytePointer;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_backend_description;

/** Version, backends, OpenBLAS. */
class LibraryInfoTest {
    @Test
    void versionsAgree() {
        assertThat(lngd.lngd_version())
                .isEqualTo(
                        lngd.LNGD_VERSION_MAJOR << 16
                                | lngd.LNGD_VERSION_MINOR << 8
                                | lngd.LNGD_VERSION_PATCH);
        assertThat(Status.text(lngd.lngd_version_string()))
                .isEqualTo(
                        lngd.LNGD_VERSION_MAJOR
                                + "."
                                + lngd.LNGD_VERSION_MINOR
                                + "."
                                + lngd.LNGD_VERSION_PATCH);
    }

    @Test
    void theCpuBackendTellsWhatItUses() {
        lngd_backend_description d = description();
        ok(lngd.lngd_backend_info(lngd.LNGD_DEVICE_CPU, d));
        assertThat(d.available()).isEqualTo(1);
        assertThat(Status.text(d.reason())).isEmpty();
        assertThat(Status.text(d.instruction_set())).isIn("avx512", "avx2", "portable");
        assertThat(Status.text(d.blas())).contains("OpenBLAS");
        assertThat(Status.text(d.blas_core())).isNotEmpty();
        assertThat(Status.text(d.blas_path())).contains("openblas");
        assertThat(d.default_threads()).isPositive();
    }

    @Test
    void aMissingBackendHasAReason() {
        lngd_backend_description d = description();
        ok(lngd.lngd_backend_info(lngd.LNGD_DEVICE_CUDA, d));
        if (d.available() == 0) {
            assertThat(Status.text(d.reason())).isNotBlank();
        } else {
            assertThat(Status.text(d.reason())).isEmpty();
        }
    }

    @Test
    void badArgumentsAreRefused() {
        invalid(lngd.lngd_backend_info(lngd.LNGD_DEVICE_AUTO, description()), "device");
        invalid(lngd.lngd_backend_info(7, description()), "device", "7");
        invalid(lngd.lngd_backend_info(-1, description()), "device", "-1");
        invalid(lngd.lngd_backend_info(lngd.LNGD_DEVICE_CPU, null), "out");
        for (int size : new int[] {0, 3, 100, 1 << 30, -1}) {
            lngd_backend_description d = description();
            d.struct_size(size);
            invalid(lngd.lngd_backend_info(lngd.LNGD_DEVICE_CPU, d), "struct_size");
        }
    }

    @Test
    void onceLoadedOpenBlasStays() {
        ok(lngd.lngd_load_blas("/nowhere/libopenblas.so.0"));
        ok(lngd.lngd_load_blas((BytePointer) null));
        assertThat(NativeLibrary.report().blas())
                .isNotEmpty()
                .last()
                .matches(LoadReport.Attempt::success);
    }

    private static lngd_backend_description description() {
        lngd_backend_description d = new lngd_backend_description();
        d.struct_size(d.sizeof());
        return d;
    }
}
