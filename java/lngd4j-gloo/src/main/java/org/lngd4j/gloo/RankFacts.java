// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32C;
import org.lngd4j.Device;
import org.lngd4j.LayerRegistration;
import org.lngd4j.LngdInfo;
import org.lngd4j.LngdOptions;
import org.lngd4j.RegistrationReport;
import org.lngd4j.nativelib.LoadReport;
import org.lngd4j.nativelib.NativeLibrary;

/**
 * What ranks must have in common, whatever framework the network is of: what the bits of LNGD's
 * step depend on but the data. Same inputs, build, processor and number of threads give the same
 * bits (lngd.h). For adapters, which add the facts of their framework and network.
 */
public final class RankFacts {
    private RankFacts() {}

    /**
     * The facts of this rank.
     *
     * @param options of the attachment
     * @param report what is done with each layer
     * @return a new map for {@link Ranks#agree}, in a fixed order
     */
    public static Map<String, String> of(LngdOptions options, RegistrationReport report) {
        Map<String, String> facts = new LinkedHashMap<>();
        LngdInfo.Backend cpu = LngdInfo.backend(Device.CPU);
        facts.put("the library's version", NativeLibrary.report().version());
        facts.put("the library's file, as CRC-32C,", checksum());
        facts.put("the instruction set", cpu.instructionSet());
        facts.put("the BLAS", cpu.blas());
        facts.put("the BLAS core", cpu.blasCore());
        options.asMap()
                .forEach((name, value) -> facts.put("options." + name, String.valueOf(value)));
        int threads = options.threads() == 0 ? cpu.defaultThreads() : options.threads();
        facts.put("options.threads", Integer.toString(threads));
        for (LayerRegistration e : report.layers()) {
            facts.put("layer " + e.name(), e.treatment() + ", " + e.detail() + ", " + e.spec());
        }
        return facts;
    }

    /** A version does not tell one build from another. */
    private static String checksum() {
        CRC32C crc = new CRC32C();
        for (LoadReport.Attempt attempt : NativeLibrary.report().library()) {
            if (attempt.success() && Files.isRegularFile(Path.of(attempt.path()))) {
                try {
                    crc.update(Files.readAllBytes(Path.of(attempt.path())));
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            }
        }
        return Long.toHexString(crc.getValue());
    }
}
