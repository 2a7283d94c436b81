// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.selftest;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.lngd4j.Device;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.support.Devices;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.support.Natives;

/** The quick part of the conformance checks, and golden vectors. */
public final class SelfTest {
    private static final List<String> WORDS = List.of("auto", "cpu", "cuda", "emulated");

    private final String deviceName;
    private final PrintStream out;
    private final PrintStream err;

    /**
     * @param device auto (the CPU, and CUDA where it can be used), cpu, cuda or emulated
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
        Natives.checkedFolder();
        List<Report.Section> sections = new ArrayList<>();
        List<Device> devices = devices();
        Natives.loadNd4j();
        for (Device device : devices) {
            sections.add(section(device, golden));
        }
        Report report = new Report(sections);
        report.problems().forEach(err::println);
        if (json) {
            out.print(Json.write(report.toMap()));
        } else {
            report.lines().forEach(out::println);
        }
        out.flush();
        return report.exitStatus();
    }

    private static Report.Section section(Device device, Path golden) {
        GoldenRunner runner = new GoldenRunner(device);
        List<GoldenRunner.Outcome> named = golden == null ? List.of() : runner.named(golden);
        List<QuickCheck.Result> quick = new QuickCheck(device).run();
        List<GoldenRunner.Outcome> outcomes = new ArrayList<>(runner.builtIn());
        outcomes.addAll(named);
        return new Report.Section(Devices.word(device), quick, outcomes);
    }

    private List<Device> devices() {
        if (!WORDS.contains(deviceName)) {
            throw CliException.badInput(
                    "--device " + deviceName + ": must be " + String.join(", ", WORDS));
        }
        if (!deviceName.equals("auto")) {
            return List.of(Devices.usable(deviceName));
        }
        Device cpu = Devices.usable("cpu");
        String problem = Devices.cudaProblem();
        if (problem == null) {
            return List.of(cpu, Device.CUDA);
        }
        if (!problem.isEmpty()) {
            err.println("lngd: CUDA is left out: " + problem);
        }
        return List.of(cpu);
    }
}
