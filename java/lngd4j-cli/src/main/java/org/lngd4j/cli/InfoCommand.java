// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.lngd4j.CudaPresets;
import org.lngd4j.LngdInfo;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.support.Versions;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code lngd info}: what runs here, and why what does not run does not. */
@Command(
        name = "info",
        description =
                "Shows versions, backends (with the reason where one is missing), processor, threads and BLAS.",
        mixinStandardHelpOptions = true)
final class InfoCommand implements Callable<Integer> {
    private static final List<String> THREAD_VARIABLES =
            List.of(
                    "OMP_NUM_THREADS",
                    "OPENBLAS_NUM_THREADS",
                    "OMP_WAIT_POLICY",
                    "OPENBLAS_CORETYPE");

    @Option(names = "--json", description = "As one JSON object.")
    private boolean json;

    @Override
    public Integer call() {
        LngdInfo info = LngdInfo.current();
        System.out.print(json ? Json.write(asMap(info)) : text(info));
        System.out.flush();
        return 0;
    }

    private static Map<String, Object> asMap(LngdInfo info) {
        Map<String, Object> map = new LinkedHashMap<>();
        Map<String, Object> versions = Versions.all();
        versions.put("gitCommit", Versions.gitCommit());
        versions.put("liblngd", info.libraryVersion());
        map.put("versions", versions);
        map.put("processors", Runtime.getRuntime().availableProcessors());
        map.put("environment", threadVariables());
        map.putAll(info.asMap());
        CudaPresets presets = CudaPresets.look();
        map.put(
                "cudaPresets",
                Map.of(
                        "onClassPath",
                        presets.onClassPath(),
                        "version",
                        presets.version(),
                        "problem",
                        presets.problem()));
        return map;
    }

    private static Map<String, Object> threadVariables() {
        Map<String, Object> map = new LinkedHashMap<>();
        THREAD_VARIABLES.forEach(name -> map.put(name, System.getenv(name)));
        return map;
    }

    private static String text(LngdInfo info) {
        StringBuilder text = new StringBuilder();
        Versions.all().forEach((name, version) -> line(text, name, version));
        line(text, "git commit", Versions.gitCommit() == null ? "unknown" : Versions.gitCommit());
        line(
                text,
                "liblngd",
                info.libraryVersion() == null ? "could not be loaded" : info.libraryVersion());
        for (LngdInfo.Backend backend : info.backends()) {
            String name = backend.device().toString().toLowerCase(Locale.ROOT) + " backend";
            boolean loaded = backend.cuda() == null || !backend.cuda().library().isEmpty();
            line(text, name, state(backend, loaded));
            if (!loaded) {
                info.loadReport().devices().forEach(attempt -> line(text, "  tried", attempt));
            }
            if (backend.cuda() != null) {
                cuda(text, backend.cuda());
            } else if (backend.available()) {
                details(text, backend);
            }
        }
        line(text, "CUDA presets", CudaPresets.look());
        line(text, "processors", Runtime.getRuntime().availableProcessors());
        threadVariables()
                .forEach((name, value) -> line(text, name, value == null ? "not set" : value));
        if (info.libraryVersion() == null) {
            info.loadReport().library().forEach(attempt -> line(text, "tried", attempt));
        }
        return text.toString();
    }

    private static String state(LngdInfo.Backend backend, boolean loaded) {
        if (backend.available()) {
            return "available";
        }
        return "missing: " + (loaded ? backend.reason() : "its library cannot be loaded");
    }

    private static void details(StringBuilder text, LngdInfo.Backend backend) {
        line(text, "  processor", backend.cpuModel());
        line(text, "  features", backend.cpuFeatures());
        line(text, "  kernels for", backend.instructionSet());
        line(text, "  BLAS", backend.blas());
        line(text, "  BLAS core type", backend.blasCore());
        line(text, "  BLAS from", backend.blasPath());
        line(text, "  default threads", backend.defaultThreads());
    }

    private static void cuda(StringBuilder text, LngdInfo.Cuda cuda) {
        if (!cuda.library().isEmpty()) {
            line(text, "  library", cuda.library());
            line(
                    text,
                    "  driver serves",
                    cuda.driverVersion().isEmpty() ? "none" : "CUDA " + cuda.driverVersion());
            line(text, "  runtime", "CUDA " + cuda.runtimeVersion());
        }
        if (cuda.devices() > 0) {
            line(text, "  devices", cuda.devices());
            line(text, "  device 0", cuda.deviceName());
            line(text, "  compute capability", cuda.computeCapability());
            line(text, "  memory", (cuda.deviceMemory() >> 20) + " MiB");
        }
    }

    private static void line(StringBuilder text, String name, Object value) {
        text.append(String.format("%-22s %s%n", name, value));
    }
}
