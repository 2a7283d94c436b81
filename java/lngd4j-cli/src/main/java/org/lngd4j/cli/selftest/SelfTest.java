// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.selftest;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.lngd4j.Device;
import org.lngd4j.LngdInfo;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.support.Json;

/** The quick part of the conformance checks, and golden vectors. */
public final class SelfTest {
    private final String deviceName;
    private final PrintStream out;
    private final PrintStream err;

    /**
     * @param device auto, cpu or cuda
     */
    public SelfTest(String device, PrintStream out, PrintStream err) {
        this.deviceName = device;
        this.out = out;
        this.err = err;
    }

    /**
     * Runs it.
     *
     * @param golden a file or folder of golden vectors beside the built-in ones, or null
     * @param json one JSON object instead of lines
     * @return the exit status
     */
    public int run(Path golden, boolean json) {
        Device device = device();
        GoldenRunner runner = new GoldenRunner(device);
        List<GoldenRunner.Outcome> named = golden == null ? List.of() : runner.named(golden);
        List<QuickCheck.Result> quick = new QuickCheck(device).run();
        List<GoldenRunner.Outcome> outcomes = new ArrayList<>(runner.builtIn());
        outcomes.addAll(named);
        Report report = new Report(quick, outcomes);
        report.problems().forEach(err::println);
        if (json) {
            out.print(Json.write(report.toMap()));
        } else {
            report.lines().forEach(out::println);
        }
        out.flush();
        return report.exitStatus();
    }

    private Device device() {
        if (!List.of("auto", "cpu", "cuda").contains(deviceName)) {
            throw CliException.badInput("--device " + deviceName + ": must be auto, cpu, cuda");
        }
        Device device = Device.valueOf(deviceName.toUpperCase(Locale.ROOT));
        LngdInfo info = LngdInfo.current();
        if (info.libraryVersion() == null) {
            throw CliException.failure(
                    "the native library could not be loaded: " + info.loadReport().library());
        }
        for (LngdInfo.Backend backend : info.backends()) {
            if (backend.device() == device && !backend.available()) {
                throw CliException.badInput("--device " + deviceName + ": " + backend.reason());
            }
        }
        return device;
    }
}
