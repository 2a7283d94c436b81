// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.nativelib.LngdArgumentException;

/** JavaCPP's CUDA presets: with their classes, which need no driver, and without. */
class CudaPresetsTest {
    @TempDir Path folder;

    @Test
    void aStreamOfThePresetsIsPassedByItsAddress() {
        CUstream_st stream = new CUstream_st(new AddressPointer().at(0x7f0000001230L));
        assertThat(CudaInterop.address(stream)).isEqualTo(0x7f0000001230L);
        assertThat(CudaInterop.address(new CUstream_st())).isZero();
        assertThat(CudaInterop.address(null)).isZero();
        Net net = new Net(LngdOptions.recipe(10));
        CudaInterop.stream(net.optimizer, null);
        net.stepped(1);
        if (net.optimizer.device() == Device.CPU) {
            // The address arrives: the CPU refuses it, and says which it was.
            for (Runnable call :
                    new Runnable[] {
                        () -> CudaInterop.stream(net.optimizer, stream),
                        () -> net.optimizer.stream(stream)
                    }) {
                assertThatThrownBy(call::run)
                        .isInstanceOf(LngdArgumentException.class)
                        .hasMessageContaining("stream");
            }
        }
        net.optimizer.close();
    }

    @Test
    void memoryOfThePresetsBecomesATensor() {
        FloatPointer memory = new AddressPointer().at(0x7f0000004560L);
        NativeTensor t = CudaInterop.tensor(1, memory, 3, 5);
        assertThat(t.address()).isEqualTo(0x7f0000004560L);
        assertThat(t.kind()).isEqualTo(MemoryKind.CUDA);
        assertThat(t.deviceIndex()).isEqualTo(1);
    }

    @Test
    void theirVersionIsToldAndWhyTheirNativePartIsNotUsable() {
        CudaPresets presets = CudaPresets.look();
        assertThat(presets.onClassPath()).isTrue();
        assertThat(presets.version()).matches("[0-9.]+-[0-9.]+-[0-9.]+");
        // Their native part is not on the class path of the tests.
        assertThat(presets.problem()).contains("UnsatisfiedLinkError");
        assertThat(presets.toString()).contains(presets.version(), "not usable");
    }

    /** Everything that does not name a class of theirs works in a JVM that has none of them. */
    @Test
    void withoutThemEverythingElseWorks() throws Exception {
        String output = run(PresetsProbe.class, false);
        assertThat(output)
                .contains("presets not on the class path")
                .contains("moved true")
                .contains("CPU: available")
                .contains("interop needs org/bytedeco/cuda/cudart/CUstream_st");
        // The same program does see them where they are: the class path was the difference.
        assertThat(run(PresetsProbe.class, true)).contains("interop linked").contains("moved true");
    }

    private String run(Class<?> main, boolean presets) throws IOException, InterruptedException {
        String path =
                System.getProperty(
                        "surefire.test.class.path", System.getProperty("java.class.path"));
        String without =
                Arrays.stream(path.split(File.pathSeparator))
                        .filter(entry -> !new File(entry).getName().matches("cuda-.*\\.jar"))
                        .collect(Collectors.joining(File.pathSeparator));
        assertThat(without).isNotEqualTo(path);
        Path log = folder.resolve(presets + ".log");
        Process process =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-cp",
                                presets ? path : without,
                                main.getName())
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
        try {
            boolean ended = process.waitFor(120, TimeUnit.SECONDS);
            String output = Files.readString(log, StandardCharsets.UTF_8);
            assertThat(ended).as("the JVM ended; it wrote %s", output).isTrue();
            assertThat(process.exitValue()).as(output).isZero();
            return output;
        } finally {
            process.destroyForcibly();
        }
    }
}
