// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.lngd4j.cli.selftest.SelfTest;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code lngd selftest}. */
@Command(
        name = "selftest",
        description = {
            "Checks the kernels on this machine against double precision.",
            "Exit status: 0 all is well, 1 a tolerance is broken or a device failed, 2 a file or a device cannot be used."
        },
        mixinStandardHelpOptions = true)
final class SelftestCommand implements Callable<Integer> {
    @Option(
            names = "--device",
            paramLabel = "auto|cpu|cuda|emulated",
            defaultValue = "auto",
            description =
                    "auto (default): the CPU, and CUDA where it can be used; emulated: the CUDA kernels on a SIMT emulator, without a GPU.")
    private String device;

    @Option(
            names = "--golden",
            paramLabel = "FILE_OR_DIR",
            description = "Also check golden vectors: a JSON file, or every one of a folder.")
    private Path golden;

    @Option(names = "--json", description = "As one JSON object.")
    private boolean json;

    @Override
    public Integer call() {
        return new SelfTest(device, System.out, System.err).run(golden, json);
    }
}
