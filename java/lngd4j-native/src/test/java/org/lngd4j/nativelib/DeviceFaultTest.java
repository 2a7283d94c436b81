// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * CUDA calls that fail, from create to destroy: the exception that belongs to it, and what comes
 * after. Each case has a JVM of its own, whose environment names the call. Every single call, and
 * that nothing is leaked, is the matter of the C++ conformance suite; here it is what Java makes of
 * it.
 */
class DeviceFaultTest {
    /** Spread over the about 200 calls of {@link FaultProbe}, of which create makes the first. */
    private static final int[] CALLS = {1, 6, 20, 40, 60, 90, 120};

    private static final int OUT_OF_MEMORY = 2;
    private static final int LAUNCH_OUT_OF_RESOURCES = 701;
    private static final int ILLEGAL_ADDRESS = 700;

    @Test
    void withoutAFaultAllIsFine() throws Exception {
        List<String> lines = lines("cudaNoSuchCall", 1, OUT_OF_MEMORY);
        assertThat(lines).contains("create: fine", "moved: true", "destroy: fine");
        assertThat(lines).filteredOn(line -> line.contains("Exception")).isEmpty();
    }

    @Test
    void afterAFailureTheOptimizerCanBeUsed() throws Exception {
        List<String> failed = new ArrayList<>();
        for (int call : CALLS) {
            List<String> lines = lines("*", call, LAUNCH_OUT_OF_RESOURCES);
            List<String> failures =
                    lines.stream().filter(line -> line.contains("Exception")).toList();
            assertThat(failures).as("call %d: %s", call, lines).hasSize(1);
            assertThat(failures.get(0)).contains("LngdDeviceException", "701");
            if (!failures.get(0).startsWith("create")) {
                assertThat(lines).contains("moved: true", "destroy: fine");
            }
            failed.add(failures.get(0).replaceAll(":.*", ""));
        }
        // The calls are spread well: otherwise this test would show little.
        assertThat(failed).contains("create", "step");
    }

    @Test
    void memoryThatCannotBeHadHasAnExceptionOfItsOwn() throws Exception {
        List<String> lines = lines("cudaMalloc", 1, OUT_OF_MEMORY);
        assertThat(lines)
                .filteredOn(line -> line.contains("Exception"))
                .isNotEmpty()
                .first()
                .asString()
                .contains("LngdOutOfMemoryException");
    }

    @Test
    void aLostDeviceEndsTheOptimizerButNotItsClosing() throws Exception {
        boolean seen = false;
        for (int call : CALLS) {
            List<String> lines = lines("*", call, ILLEGAL_ADDRESS);
            int first = 0;
            while (!lines.get(first).contains("Exception")) {
                first++;
            }
            if (lines.get(first).startsWith("create")) {
                continue;
            }
            seen = true;
            String told = lines.get(first).replaceAll("^[^:]*: ", "");
            assertThat(told).startsWith("LngdDeviceLostException").contains("700");
            for (String line : lines.subList(first, lines.size())) {
                if (!line.startsWith("moved") && !line.startsWith("destroy")) {
                    assertThat(line).endsWith(told);
                }
            }
            assertThat(lines).contains("destroy: fine");
        }
        assertThat(seen).isTrue();
    }

    private static List<String> lines(String call, int nth, int error) throws Exception {
        Map<String, String> fault = Map.of("LNGD_CUDA_FAULT", call + ":" + nth + ":" + error);
        return ChildJvm.run(FaultProbe.class, fault, ChildJvm.classPath())
                .lines()
                .filter(line -> line.matches("[a-z ]+: .*"))
                .toList();
    }
}
